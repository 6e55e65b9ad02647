/**
 * How a program becomes one file: esbuild's options, for the build and for whoever tests a variant of a program.
 * Plain JavaScript, because it runs at `npm ci`.
 */

/** What has native parts, or is probed for by `ws` and may be absent. */
const EXTERNAL = ['classic-level', 'utf-8-validate'];

/** `ws` is CommonJS and calls require for what is built into Node. */
const REQUIRE =
  "import { createRequire as __createRequire } from 'node:module';\nconst require = __createRequire(import.meta.url);";

/** Give the options for sources under `root`; entry points and where the files go are the caller's. */
export function bundleOptions(root, version) {
  return {
    absWorkingDir: root,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20.19',
    external: EXTERNAL,
    // `ws` asks for this package to mask faster; ours is as fast, and has no native parts.
    alias: { bufferutil: './src/node/mask.ts' },
    define: { __VERSION__: JSON.stringify(version) },
    // The sources have no #! line of their own.
    banner: { js: `#!/usr/bin/env node\n${REQUIRE}` },
    logLevel: 'warning',
  };
}

/** The same for the library, which is no program. */
export function libraryOptions(root, version) {
  return { ...bundleOptions(root, version), banner: { js: REQUIRE } };
}
