// Adds up the JSON reports of vitest and prints one line; a step that failed without a failed test counts as one.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const [directory, stepsFailed] = process.argv.slice(2);
let passed = 0;
let failed = 0;
for (const name of existsSync(directory) ? readdirSync(directory) : []) {
  const report = JSON.parse(readFileSync(join(directory, name), 'utf8'));
  passed += report.numPassedTests;
  // What a machine cannot do is named by the test that found that out.
  for (const { title } of report.testResults.flatMap(file => file.assertionResults))
    if (title.startsWith('NOT RUN: ')) console.log(title);
  failed += report.numFailedTests + (report.numPendingTests ?? 0) + (report.numTodoTests ?? 0);
  failed += report.testResults.filter(
    file => file.status === 'failed' && file.assertionResults.length === 0,
  ).length;
}
if (failed === 0 && (stepsFailed !== '0' || passed === 0)) failed = 1;
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
