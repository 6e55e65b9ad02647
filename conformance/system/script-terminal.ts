/** A program on a terminal of its own, that of util-linux's `script`: whoever types there is a person to it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { NODE, PATIENCE_MS } from './programs.ts';

/** `clawchat` with arguments that hold nothing a shell would take apart. */
export class ScriptTerminal {
  /** Everything that came so far. */
  written = '';
  readonly ended: Promise<number | null>;
  readonly #child: ChildProcess;
  #seen = 0;

  constructor(args: readonly string[], environment: Readonly<Record<string, string>>) {
    const env = { ...process.env, ...environment };
    if (environment['NO_COLOR'] === undefined) delete env['NO_COLOR'];
    const command = [NODE, join(process.cwd(), 'dist', 'clawchat.js'), ...args].join(' ');
    this.#child = spawn('script', ['-qfec', command, '/dev/null'], { env });
    this.#child.stdout?.setEncoding('utf8').on('data', piece => {
      this.written += piece;
    });
    this.ended = new Promise(resolve => this.#child.once('close', resolve));
  }

  /** Type a line, and Enter. */
  type(line: string): void {
    this.#child.stdin?.write(`${line}\r`);
  }

  /** Wait for something behind what was seen before. */
  async see(wanted: RegExp): Promise<string> {
    for (const until = Date.now() + PATIENCE_MS; ; await sleep(50)) {
      const text = this.written.slice(this.#seen);
      const found = wanted.exec(text);
      if (found !== null) {
        this.#seen += found.index + found[0].length;
        return found[0];
      }
      if (Date.now() > until || this.#child.exitCode !== null)
        throw new Error(`no ${wanted} here:\n${this.written}`);
    }
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}
