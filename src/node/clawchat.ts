/** The client's program file. */
import { CLAWCHAT } from './cli/clawchat-program.ts';
import { runProgram } from './cli/command-line.ts';
import { heedReaders } from './cli/output.ts';

heedReaders(false);
process.exitCode = await runProgram(CLAWCHAT, process.argv.slice(2));
