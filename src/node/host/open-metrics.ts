/** Answers Prometheus about one host for as long as it serves. Chapter: spec/12-control.md. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { failure, systemCode } from '../failure.ts';
import { MetricsServer } from '../metrics-server.ts';
import type { HostCore } from './core.ts';
import { LOOP_RESOLUTION_MS, metricsText } from './metrics.ts';
import type { Moving } from './moving.ts';

/** Answer Prometheus until the host is closed, if the operator wants that. @throws ClawChatError `NO_PORT` */
export async function openMetrics(core: HostCore, moving: Moving): Promise<void> {
  const { metrics, log } = core.options;
  if (metrics === undefined) return;
  const loopDelay = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  try {
    const server = await MetricsServer.open(metrics, () => metricsText({ core, moving, loopDelay }));
    loopDelay.enable();
    moving.onClose = async () => {
      loopDelay.disable();
      await server.close();
    };
    log.info('metrics-open', { host: metrics.host, port: server.port });
  } catch (cause) {
    await moving.close();
    const text = `cannot answer metrics on ${metrics.host} port ${metrics.port} (${systemCode(cause) ?? 'unknown'})`;
    throw failure(ErrorCode.NO_PORT, text, cause);
  }
}
