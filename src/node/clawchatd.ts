/** The host's program file. */
import { CLAWCHATD } from './cli/clawchatd-program.ts';
import { runProgram } from './cli/command-line.ts';
import { heedReaders } from './cli/output.ts';

// Without a command it is the host itself.
heedReaders(process.argv[2]?.startsWith('-') ?? true);
// The database makes its files as the system's defaults are; here nothing is for others.
process.umask(0o077);
process.exitCode = await runProgram(CLAWCHATD, process.argv.slice(2));
