// What the tests use of s3rver, which brings no types.
declare module 's3rver' {
  interface Options {
    readonly address: string;
    readonly port: number;
    readonly silent: boolean;
    readonly directory: string;
    readonly key?: Uint8Array;
    readonly cert?: Uint8Array;
    readonly configureBuckets: readonly { readonly name: string; readonly configs: readonly Uint8Array[] }[];
  }
  // biome-ignore lint/style/noDefaultExport: that is how it exports
  export default class S3rver {
    constructor(options: Options);
    run(): Promise<unknown>;
    close(): Promise<void>;
  }
}
