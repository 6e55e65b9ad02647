import type { BuildOptions } from 'esbuild';

/** Give the options for sources under `root`; entry points and where the files go are the caller's. */
export declare function bundleOptions(root: string, version: string): BuildOptions;
