/** Where a run leaves its counts when CI adds them up. */
export function reporting(name: string): { reporters: string[]; outputFile?: { json: string } } {
  const directory = process.env['CONFORMANCE_REPORTS'];
  if (directory === undefined) return { reporters: ['default'] };
  return { reporters: ['default', 'json'], outputFile: { json: `${directory}/${name}.json` } };
}
