/** Judges vectors of `session`: plays the steps against one side, or opens a whole conversation and plays it against both. */
import { hex } from '../bytes.ts';
import { codeName, readFrame, readRow, shownFrame } from '../frame.ts';
import { array, bytes, bytesOf, flag, has, number, object, objects, text } from '../json.ts';
import { waits } from '../redial.ts';
import type { ErrorName } from '../refusal.ts';
import { type Effects, Side, shownDelivery } from '../session.ts';
import { openRecord } from '../transport.ts';
import { type JsonObject, released } from '../vector.ts';
import type { Judge, Outcome } from './judge.ts';

/** Judge a vector of `session`. */
export const judgeSession: Judge = input => {
  switch (text(input, 'what')) {
    case 'conversation':
      return conversation(input);
    case 'redial':
      return { output: { waits: waits(objects(input, 'paths')) } };
    default:
      return play(input);
  }
};

/** Closes that are no refusal. */
const REGULAR = ['UNSPECIFIED', 'PATH_SUPERSEDED', 'SESSION_REPLACED'];

function play(input: JsonObject): Outcome {
  const role = text(input, 'what') === 'host' ? 'host' : 'client';
  const ids = array(input, 'session_ids').map(bytesOf);
  const side = new Side(role, () => ids.shift() ?? new Uint8Array(16), flag(input, 'busy'));
  const messages: Uint8Array[] = [];
  let error: ErrorName | undefined;
  const steps = objects(input, 'steps').map(step => {
    const effects = perform(side, step);
    for (const { frame } of effects.sends) {
      const body = readFrame(frame);
      const code = body.case === 'close' ? codeName(body.value.code) : 'UNSPECIFIED';
      if (!REGULAR.includes(code)) error = code as ErrorName;
    }
    for (const one of effects.delivers) if ('message' in one) messages.push(one.message);
    return { ...shownEffects(effects), session: shownState(side) };
  });
  const outcome = { output: { steps }, released: released(...messages) };
  return error === undefined ? outcome : { ...outcome, error };
}

function perform(side: Side, step: JsonObject): Effects {
  const at = number(step, 'at_ms');
  if (has(step, 'open')) return side.open(text(step, 'open'), flag(step, 'hello'), at);
  if (has(step, 'frame')) return side.frame(text(step, 'path'), bytes(step, 'frame'), at);
  if (has(step, 'lose')) return side.lose(text(step, 'lose'), at);
  if (has(step, 'attach')) return side.attach(text(step, 'attach'), at);
  if (has(step, 'clock')) return side.clock(at);
  const write = object(step, 'write');
  const service = has(write, 'service') ? text(write, 'service') : undefined;
  return side.write(number(write, 'stream'), service, bytes(write, 'message'), flag(write, 'end'), at);
}

function shownEffects(effects: Effects): JsonObject {
  const sends = effects.sends.map(({ path, frame }) => ({ path, frame: shownFrame(readFrame(frame)) }));
  return {
    ...(sends.length === 0 ? {} : { sends }),
    ...(effects.delivers.length === 0 ? {} : { delivers: effects.delivers.map(shownDelivery) }),
    ...(effects.endsStreams.length === 0 ? {} : { ends_streams: effects.endsStreams }),
    ...(effects.cuts.length === 0 ? {} : { cuts: effects.cuts }),
    ...(effects.pings.length === 0 ? {} : { pings: effects.pings }),
  };
}

function shownState(side: Side): JsonObject | null {
  const { state } = side;
  return state === undefined ? null : { ...state, path: state.path ?? null };
}

/** Open every record that arrives, show its frames, and deliver each message once, in order. */
function conversation(input: JsonObject): Outcome {
  const paths = object(input, 'paths');
  const places = new Map<string, number>();
  const taken = { client: 0, host: 0 };
  const delivered: Record<'client' | 'host', JsonObject[]> = { client: [], host: [] };
  const messages: Uint8Array[] = [];
  const records = objects(input, 'records').map(one => {
    const path = text(one, 'path');
    const from = text(one, 'from') === 'client' ? 'client' : 'host';
    const place = places.get(`${path} ${from}`) ?? 0;
    places.set(`${path} ${from}`, place + 1);
    const key = bytes(object(paths, path), from === 'client' ? 'initiator_key' : 'responder_key');
    const bodies = readRow(openRecord(key, place, bytes(one, 'record'))).map(readFrame);
    const to = from === 'client' ? 'host' : 'client';
    for (const body of flag(one, 'arrives') ? bodies : []) {
      if (body.case !== 'data' || Number(body.value.sequence) !== taken[to] + 1) continue;
      taken[to]++;
      if (body.value.payload.length === 0) continue;
      messages.push(body.value.payload);
      delivered[to].push({ stream: body.value.stream, message: hex(body.value.payload) });
    }
    return { frames: bodies.map(shownFrame) };
  });
  const output = { records, host_delivers: delivered.host, client_delivers: delivered.client };
  return { output, released: released(...messages) };
}
