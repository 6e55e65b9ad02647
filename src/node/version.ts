/** The version of the package, put in at build time. */
declare const __VERSION__: string;

/** Version of the package; `0.0.0-source` when it runs from its sources. */
export const VERSION: string = typeof __VERSION__ === 'undefined' ? '0.0.0-source' : __VERSION__;
