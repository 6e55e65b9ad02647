/** Runs a host from start to end: looks whether it may serve, serves, drains, lets go. Chapter: spec/12-control.md. */
import { setTimeout as sleep } from 'node:timers/promises';
import { ControlProgram } from '../gen/clawchat/v1/control_pb.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { failure } from './failure.ts';
import { HostCore } from './host/core.ts';
import type { Moving } from './host/moving.ts';
import type { HostOptions } from './host/options.ts';
import { databaseOld, permit } from './host/survey.ts';
import { HostOwner, type Ready, waitingText } from './host-owner.ts';
import type { Log } from './log.ts';
import { native } from './native.ts';
import { attachOrOwn, type Owner } from './owner.ts';
import { SCHEMA_VERSION } from './store.ts';
import { VERSION } from './version.ts';

/** A host that serves the network, or waits until it may. */
export interface Serving {
  /** Resolves once clients can come. */
  readonly ready: Promise<Ready>;
  /** Answers what is asked of the host, as over the control socket. */
  readonly owner: Owner;
  /** Resolves when it should end: undefined after a `stop`, else why nothing can be promised any more. */
  readonly ended: Promise<unknown>;
  /** Its side of the network, once there is one. */
  readonly moving: () => Moving | undefined;
  /** Let what is under way come to its end, for `ms` at most and until `cut`: what SIGTERM does before `close`. */
  drain(ms: number, cut?: AbortSignal): Promise<void>;
  /** End every connection and let go of the directory. */
  close(): Promise<void>;
}

/** How long a host that waits for its stores waits between two looks. */
const LOOK_MS_MIN = 1000;
const LOOK_MS_MAX = 60_000;

/**
 * Start to serve. `waiting` is told when no store says whether the database is an old backup; `ready` then takes as long
 * as that does.
 *
 * @throws ClawChatError `DIRECTORY_LOCKED`, `NO_PORT`, `DATABASE_OLD`, `STORAGE_FULL` and those of `openStore`.
 */
export async function openServing(
  options: HostOptions,
  waiting: (text: string) => void = () => {},
): Promise<Serving> {
  const stopping = new AbortController();
  let end: (why: unknown) => void = () => {};
  const ended = new Promise<unknown>(resolve => {
    end = resolve;
  });
  let about: Ready | undefined;
  let host: HostOwner | undefined;
  const open = async (): Promise<Owner> => {
    const core = await HostCore.open(options);
    try {
      host = new HostOwner(core, () => end(undefined));
      host.waitsFor = await mayServe(core);
      if (host.waitsFor === undefined) about = await host.serve();
      void core.broken.then(end);
      return host;
    } catch (error) {
      await core.close();
      throw error;
    }
  };
  const identity = { program: ControlProgram.HOST, version: VERSION, schema: SCHEMA_VERSION };
  const { directory, log } = options;
  const attachment = await attachOrOwn(
    { directory, identity, suite: native, open, resident: true, log },
    'own',
  );
  if (attachment.kind !== 'owned' || host === undefined)
    throw failure(ErrorCode.INTERNAL, 'owned by another');
  if (host.waitsFor !== undefined) {
    log.warn('not-serving', { why: host.waitsFor });
    waiting(waitingText(host.waitsFor));
  }
  const ready = about === undefined ? serveLater(host, stopping.signal) : Promise.resolve(about);
  ready.catch(end);
  const { owner, server } = attachment;
  const close = async (): Promise<void> => {
    stopping.abort();
    await ready.catch(() => undefined);
    await server.close();
    await owner.close();
  };
  const moving = (): Moving | undefined => host?.moving;
  const drain = (ms: number, cut?: AbortSignal): Promise<void> => drained(moving(), ms, cut, log);
  return { ready, owner, ended, drain, close, moving };
}

/** What a host says while it serves. */
export interface ServeHooks {
  /** Clients can come. */
  readonly ready: (about: Ready) => void;
  /** It does not serve yet, because no store tells whether the database is an old backup. */
  readonly waiting: (text: string) => void;
}

/** Serve until a signal, a `stop`, or the end of the disk. @throws as `openServing` */
export async function serveHost(options: HostOptions, hooks: ServeHooks): Promise<void> {
  const { log, drainMs = 0 } = options;
  // Nothing is under way yet. As the first process of a container it would not even hear what it does not listen to.
  const before = onStop(() => {
    log.info('stopped');
    process.exit(0);
  });
  const serving = await openServing(options, hooks.waiting).finally(before);
  let stop = (): void => {};
  const stopped = new Promise<undefined>(resolve => {
    stop = () => resolve(undefined);
  });
  const hangUp = (): void => {
    options.reopenLog?.();
    void serving.moving()?.reload();
  };
  const during = onStop(stop);
  process.on('SIGHUP', hangUp);
  void serving.ready.then(hooks.ready, () => {});
  const why = await Promise.race([serving.ended, stopped]);
  during();
  // Somebody who asks twice is in a hurry; what is durable stays so.
  const behind = onStop(() => process.exit(EXIT_NOW));
  log.info('stopping', { drain: drainMs });
  if (why === undefined) await serving.drain(drainMs);
  await serving.close();
  log.info('stopped');
  behind();
  process.off('SIGHUP', hangUp);
  if (why !== undefined) throw why;
}

/** Do something when the process is told to stop; gives what ends that. */
function onStop(act: () => void): () => void {
  for (const signal of STOPS) process.on(signal, act);
  return () => {
    for (const signal of STOPS) process.off(signal, act);
  };
}

const STOPS = ['SIGTERM', 'SIGINT'] as const;

/** The exit code of a host that was told to stop twice: as after SIGINT. */
const EXIT_NOW = 130;

async function drained(
  moving: Moving | undefined,
  ms: number,
  cut: AbortSignal | undefined,
  log: Log,
): Promise<void> {
  if (moving === undefined) return;
  const enough = new AbortController();
  const stop = (): void => enough.abort();
  cut?.addEventListener('abort', stop, { once: true });
  if (cut?.aborted || ms === 0) stop();
  const late = sleep(ms, undefined, { signal: enough.signal }).then(
    () => 'late' as const,
    () => 'cut' as const,
  );
  const how = await Promise.race([moving.drain().then(() => 'done' as const), late]);
  cut?.removeEventListener('abort', stop);
  stop();
  if (how === 'late') log.warn('drain-cut', { after: ms });
}
/** Look at the stores: undefined to serve, else why nobody can tell. @throws ClawChatError `DATABASE_OLD` */
async function mayServe(core: HostCore): Promise<string | undefined> {
  const found = permit(core.known, await core.survey(), Date.now());
  if (found.kind === 'old') throw databaseOld(found.why);
  if (found.kind === 'serve') return undefined;
  if (core.options.trustDatabase !== true) return found.why;
  core.options.log.warn('database-trusted', { why: found.why });
  return undefined;
}

/** Ask the stores again and again, and serve once one tells. @throws ClawChatError as `mayServe`; `CANCELLED` @impl DI-060~1 */
async function serveLater(owner: HostOwner, signal: AbortSignal): Promise<Ready> {
  for (let waitMs = LOOK_MS_MIN; ; waitMs = Math.min(waitMs * 2, LOOK_MS_MAX)) {
    await sleep(waitMs, undefined, { signal }).catch(() => {});
    const why = signal.aborted ? undefined : await mayServe(owner.core);
    if (signal.aborted) throw failure(ErrorCode.CANCELLED, 'the host stops');
    if (why === undefined) return owner.serve();
    owner.waitsFor = why;
  }
}
