/**
 * Rebuilds what Mega answers from the parts that megajs can take (spec/07-discovery.md, 7.2).
 *
 * megajs throws inside callbacks when a field is missing or has a wrong length, where nothing can catch it: the
 * process would end. So each answer is made anew here, and what does not fit is left out.
 */
import { FILE_BYTES_MAX } from '../../gen/constants.ts';
import { StoreError } from './attempt.ts';

type Fields = Readonly<Record<string, unknown>>;

const HANDLE = /^[\w-]{8}$/;
const NODES_MAX = 50_000;
const TEXT_CHARS_MAX = 65_536;
const FILE = 0;
const FOLDER = 1;
const MOUNT_MAX = 4;

/** Rebuild the answer to a request, a list of one command; undefined when it does not fit. */
export function cleanAnswer(asked: unknown, answer: unknown): unknown {
  const command = isFields(asked) || !Array.isArray(asked) ? undefined : (asked[0] as unknown);
  if (!isFields(command)) return undefined;
  switch (command['a']) {
    case 'd':
    case 'm':
    case 's2':
      // Nothing of these is read.
      return {};
    case 'l':
      return isHandle(answer) ? answer : undefined;
  }
  if (!isFields(answer)) return undefined;
  switch (command['a']) {
    case 'f':
      return command['r'] === 1 ? cleanLinked(answer) : cleanAccount(answer);
    case 'p': {
      const nodes = cleanNodes(answer['f']);
      return nodes.length > 0 ? { f: nodes } : undefined;
    }
    case 'g':
      return cleanDownload(answer);
    case 'u':
      return isHttps(answer['p']) ? { p: answer['p'] } : undefined;
    case 'us0':
      return cleanSalt(answer);
    case 'us':
      return cleanLogin(answer);
    case 'ug':
      return isText(answer['u'])
        ? { u: answer['u'], name: isText(answer['name']) ? answer['name'] : '' }
        : undefined;
    default:
      return undefined;
  }
}

/** The nodes behind a link. megajs takes for the root the one whose key is under its own handle. */
function cleanLinked(answer: Fields): unknown {
  const nodes = cleanNodes(answer['f']);
  const isRoot = (node: Fields): boolean =>
    String(node['k'] ?? '')
      .split('/')
      .some(part => part.split(':')[0] === node['h']);
  return nodes.some(isRoot) ? { f: nodes } : undefined;
}

function cleanAccount(answer: Fields): unknown {
  const links = Array.isArray(answer['ph']) ? (answer['ph'] as unknown[]) : [];
  const shares = Array.isArray(answer['ok']) ? (answer['ok'] as unknown[]) : [];
  return {
    f: cleanNodes(answer['f']),
    ph: links.flatMap(link =>
      isFields(link) && isHandle(link['h']) && isHandle(link['ph']) ? [{ h: link['h'], ph: link['ph'] }] : [],
    ),
    ok: shares.flatMap(share =>
      isFields(share) && isHandle(share['h']) && hasBytes(share['ha'], 16) && hasBytes(share['k'], 16)
        ? [{ h: share['h'], ha: share['ha'], k: share['k'] }]
        : [],
    ),
  };
}

function cleanNodes(list: unknown): readonly Fields[] {
  if (!Array.isArray(list) || list.length > NODES_MAX) return [];
  const nodes = (list as unknown[]).flatMap(node => {
    const clean = isFields(node) ? cleanNode(node) : undefined;
    return clean === undefined ? [] : [clean];
  });
  // Only what is no file can have children.
  const folders = new Set(nodes.filter(node => node['t'] !== FILE).map(node => node['h']));
  return nodes.map(node => {
    const { p, ...rest } = node;
    return folders.has(p) && p !== node['h'] ? node : rest;
  });
}

function cleanNode(node: Fields): Fields | undefined {
  const { h, p, u, t, a, k, s, ts } = node as Readonly<Record<string, unknown>>;
  if (!isHandle(h) || !isCount(t) || t > MOUNT_MAX) return undefined;
  // Keys of other lengths are wrapped with RSA: somebody else's share, which a saved session cannot open.
  const keys = isText(k) ? k.split('/').filter(part => isKeyPart(part, t === FOLDER ? 16 : 32)) : [];
  return {
    h,
    t,
    ...(isHandle(p) ? { p } : {}),
    ...(isText(u) ? { u } : {}),
    ...(isText(a) && bytesOf(a) > 0 && bytesOf(a) % 16 === 0 ? { a } : {}),
    ...(keys.length > 0 ? { k: keys.join('/') } : {}),
    s: isCount(s) ? s : 0,
    ts: isCount(ts) ? ts : 0,
  };
}

function isKeyPart(part: string, bytes: number): boolean {
  const [owner, key, ...more] = part.split(':');
  return (
    owner !== undefined &&
    key !== undefined &&
    more.length === 0 &&
    /^[\w-]+$/.test(owner) &&
    hasBytes(key, bytes)
  );
}

function cleanDownload(answer: Fields): unknown {
  const { g, s, at } = answer;
  if (!isHttps(g) || !isCount(s)) return undefined;
  if (s > FILE_BYTES_MAX) throw new StoreError('oversized', `a file of ${s} bytes lies there`);
  return { g, s, ...(isText(at) ? { at } : {}) };
}

function cleanSalt(answer: Fields): unknown {
  const { v, s } = answer;
  if (v === 1) return { v };
  return v === 2 && isText(s) && bytesOf(s) > 0 ? { v, s } : undefined;
}

function cleanLogin(answer: Fields): unknown {
  const { k, csid, privk } = answer;
  const isPrivate = isText(privk) && bytesOf(privk) >= 256 && bytesOf(privk) % 16 === 0;
  return hasBytes(k, 16) && isText(csid) && bytesOf(csid) >= 64 && isPrivate ? { k, csid, privk } : undefined;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= TEXT_CHARS_MAX;
}

function isHandle(value: unknown): value is string {
  return typeof value === 'string' && HANDLE.test(value);
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isHttps(value: unknown): value is string {
  return isText(value) && URL.canParse(value) && new URL(value).protocol === 'https:';
}

function bytesOf(text: string): number {
  return Buffer.from(text, 'base64').length;
}

function hasBytes(value: unknown, bytes: number): boolean {
  return isText(value) && /^[\w+/=-]*$/.test(value) && bytesOf(value) === bytes;
}
