/** What a program says of itself on standard error, a JSON value a line. */
import type { Running } from './programs.ts';

/** One line; what else it has depends on the event. */
export interface Logged {
  /** Unix milliseconds. */
  readonly at: number;
  readonly event: string;
  readonly code?: string;
  readonly why?: string;
  readonly port?: number;
  readonly sequence?: number;
}

/** Everything logged so far under this name, or under any. */
export function logged(running: Running, event?: string): readonly Logged[] {
  return running
    .stderr()
    .split('\n')
    .filter(line => line.startsWith('{"at":') && line.endsWith('}'))
    .map(line => {
      const { at, ...rest }: Omit<Logged, 'at'> & { readonly at: string } = JSON.parse(line);
      return { ...rest, at: Date.parse(at) };
    })
    .filter(entry => event === undefined || entry.event === event);
}
