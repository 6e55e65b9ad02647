import { defineConfig } from 'vitest/config';
import { reporting } from './vitest.report.ts';

/** What measures, sweeps ports, compares instants or has faster clocks: nothing else runs beside it. */
const ALONE = ['attack', 'faked-hour', 'rotation-outside', 'rotation', 'demo', 'nginx', 'strangers'].map(
  name => `conformance/system/${name}.test.ts`,
);

/** What needs the packages of .ci/apt and the built programs: real processes, sockets and other people's peers. */
const config: ReturnType<typeof defineConfig> = defineConfig({
  test: {
    testTimeout: 300_000,
    hookTimeout: 120_000,
    projects: [
      {
        extends: true,
        test: { name: 'alone', include: ALONE, maxWorkers: 1, sequence: { groupOrder: 1 } },
      },
      {
        extends: true,
        test: {
          name: 'together',
          include: ['conformance/system/**/*.test.ts'],
          exclude: ALONE,
          // They mostly wait for each other's processes: two at a time take half as long.
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
    ],
    ...reporting('system'),
  },
});
export default config;
