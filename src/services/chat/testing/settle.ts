/** Waits for what was set off, in tests that run on Node. */
declare function setImmediate(work: () => void): unknown;

/** Resolve when what promises were ready for is done. */
export const settle = (): Promise<void> => new Promise(resolve => void setImmediate(resolve));

/** Resolve when everything that was set off has ended. */
export const quiet = async (): Promise<void> => {
  for (let i = 0; i < 20; i += 1) await settle();
};
