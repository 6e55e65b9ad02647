/** What the tables of both sides have in common that play a path frame by frame (spec/05-session.md, 5.2). */
import type { Frame } from '../../../src/wire/frame.ts';
import { grid, pathCell, same } from './grid.ts';
import type { PlayedPath } from './played-machine.ts';

interface PlayedWorld {
  take(about: PlayedPath): readonly string[];
  wait(ms: number, about: PlayedPath): void;
}

/** A machine, and the path to it that a cell is about. */
export interface Scene<World extends PlayedWorld, Path extends PlayedPath> {
  readonly world: World;
  readonly path: Path;
}

/** What can happen in a scene. */
export type PathInput<World extends PlayedWorld, Path extends PlayedPath> = (
  scene: Scene<World, Path>,
) => void;

/** One record of frames comes. */
export const says =
  (...frames: readonly (Frame | Uint8Array)[]): PathInput<PlayedWorld, PlayedPath> =>
  ({ path }) =>
    path.say(...frames);

/** Nothing is heard for so long. */
export const silence =
  (ms: number): PathInput<PlayedWorld, PlayedPath> =>
  ({ world, path }) =>
    world.wait(ms, path);

/** Name each scene by the state of its path; what led there is not told. */
export function statesOf<World extends PlayedWorld, Path extends PlayedPath>(
  scenes: readonly (() => Scene<World, Path>)[],
): readonly (readonly [string, () => Scene<World, Path>])[] {
  const quiet = (make: () => Scene<World, Path>) => (): Scene<World, Path> => {
    const scene = make();
    scene.world.take(scene.path);
    return scene;
  };
  return scenes.map(make => [make().path.state, quiet(make)]);
}

/** Make the table; the inputs of a row have to do the same. */
export function pathTable<World extends PlayedWorld, Path extends PlayedPath>(
  states: readonly (readonly [string, () => Scene<World, Path>])[],
  rows: readonly (readonly [string, ...PathInput<World, Path>[]])[],
): string {
  const cell = (make: () => Scene<World, Path>, input: PathInput<World, Path>): string => {
    const { world, path } = make();
    const [before, kept] = [path.state, path.keptCount];
    input({ world, path });
    const done = world.take(path);
    return pathCell(before, path.state, path.keptCount > kept ? ['keeps it', ...done] : [...new Set(done)]);
  };
  const inputs = rows.map(([name, ...each]) => [name, each] as const);
  return grid(states, inputs, (make, each) => same(each.map(input => cell(make, input))));
}
