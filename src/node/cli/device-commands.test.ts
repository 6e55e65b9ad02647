/** Whom an operator means (spec/08-devices.md, 8.4). */
import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { ControlDeviceSchema } from '../../gen/clawchat/v1/control_pb.ts';
import { fitting } from './device-commands.ts';

const device = (byte: number, name: string, personName = '') =>
  create(ControlDeviceSchema, { deviceId: new Uint8Array(16).fill(byte), name, personName });

test('a name means whoever goes by it and whoever was invited by it, and one alone is never guessed', () => {
  const ann = device(0x11, 'Ann', 'Ann Smith');
  const bob = device(0x22, 'Bob', 'Ann');
  const phone = device(0x33, 'phone', 'Ann Smith');
  const all = [ann, bob, phone];
  expect(fitting(all, 'Ann')).toEqual([bob, ann]);
  expect(fitting(all, 'Ann Smith')).toEqual([ann, phone]);
  expect(fitting(all, 'Bob')).toEqual([bob]);
  expect(fitting(all, '3333')).toEqual([phone]);
  expect(fitting(all, '333')).toEqual([]);
  expect(fitting([device(0x44, ''), ...all], '')).toEqual([]);
  expect(fitting([device(0x44, 'x', 'x')], 'x')).toHaveLength(1);
});
