import { describe, expect, it } from 'vitest';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { REFUSED_MS } from '../../gen/constants.ts';
import { Patience } from './patience.ts';

const { GATE_REFUSED, HANDSHAKE_FAILED, HOST_UNREACHABLE } = ErrorCode;

describe('CT-045~4: patience', () => {
  it('tells who asks something at the second refusal, and who sends when all of REFUSED_MS were refusals', () => {
    const told = (lastAt: number): string[] => {
      const patience = new Patience();
      const first = [patience.failed(GATE_REFUSED, 1000), patience.failed(HANDSHAKE_FAILED, 2000)];
      return [...first, patience.failed(GATE_REFUSED, 1000 + lastAt)];
    };
    const before = ['nobody', 'questions'];
    expect(told(REFUSED_MS - 1)).toEqual([...before, 'nobody']);
    expect(told(REFUSED_MS)).toEqual([...before, 'everybody']);
    expect(told(REFUSED_MS + 1)).toEqual([...before, 'everybody']);
  });

  it('begins anew when the host let the device in, or was not there', () => {
    const breaks: readonly ((patience: Patience) => void)[] = [
      patience => patience.attached(),
      patience => void patience.failed(HOST_UNREACHABLE, 5000),
    ];
    for (const act of breaks) {
      const patience = new Patience();
      patience.failed(GATE_REFUSED, 0);
      act(patience);
      patience.failed(GATE_REFUSED, 6000);
      expect(patience.failed(GATE_REFUSED, REFUSED_MS + 5999)).not.toBe('everybody');
      expect(patience.failed(GATE_REFUSED, REFUSED_MS + 6000)).toBe('everybody');
    }
  });
});
