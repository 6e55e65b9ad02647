/** What a side of a session remembers (spec/05-session.md). */
import * as constants from '../../src/gen/constants.ts';
import { EMPTY } from './bytes.ts';

export type Role = 'host' | 'client';

export interface Stream {
  readonly openedBySelf: boolean;
  sentEnd: boolean;
  gotEnd: boolean;
  sendLimit: number;
  sendUsed: number;
  receiveUsed: number;
  partial: Uint8Array;
  readonly waiting: {
    readonly message: Uint8Array;
    readonly end: boolean;
    readonly open: string | undefined;
  }[];
}

export interface Session {
  readonly id: Uint8Array;
  generation: number;
  /** True until the client has seen an Attached. */
  opening: boolean;
  path: string | undefined;
  pathLostAtMs: number;
  /** Every Data frame that was given a number and is not acknowledged. */
  readonly retained: { readonly sequence: number; readonly frame: Uint8Array }[];
  given: number;
  acknowledged: number;
  taken: number;
  readonly streams: Map<number, Stream>;
  nextOpened: number;
}

export interface Path {
  hello: boolean;
  attach: 'none' | 'sent' | 'attached';
  /** Of the Attach that a client has sent on it. */
  generation: number;
  over: boolean;
  openedAtMs: number;
  heardAtMs: number;
  pinged: boolean;
}

/** What a Data frame counts (SE-050~1). */
export const cost = (payload: number, end: boolean): number =>
  end && payload === 0 ? 0 : payload + constants.DATA_COST_BYTES;

/** A session without a path. */
export function fresh(id: Uint8Array, role: Role): Session {
  return {
    id,
    generation: 0,
    opening: true,
    path: undefined,
    pathLostAtMs: 0,
    retained: [],
    given: 0,
    acknowledged: 0,
    taken: 0,
    streams: new Map(),
    nextOpened: role === 'host' ? 1 : 2,
  };
}

/** A stream at its beginning. */
export function freshStream(openedBySelf: boolean): Stream {
  return {
    openedBySelf,
    sentEnd: false,
    gotEnd: false,
    sendLimit: constants.STREAM_CREDIT_BYTES,
    sendUsed: 0,
    receiveUsed: 0,
    partial: EMPTY,
    waiting: [],
  };
}
