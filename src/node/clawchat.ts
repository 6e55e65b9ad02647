/** The client's program file. */
import { CLAWCHAT } from './cli/clawchat-program.ts';
import { runProgram } from './cli/command-line.ts';
import { heedReaders } from './cli/output.ts';

heedReaders(false);
// The database makes its files as the system's defaults are; here nothing is for others.
process.umask(0o077);
process.exitCode = await runProgram(CLAWCHAT, process.argv.slice(2));
