/** The host's program file. */
import { CLAWCHATD } from './cli/clawchatd-program.ts';
import { runProgram } from './cli/command-line.ts';

process.exitCode = await runProgram(CLAWCHATD, process.argv.slice(2));
