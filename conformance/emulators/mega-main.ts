/** Runs the Mega emulator for whoever tries out docs/stores.md: prints what a shell has to export, and runs until it is ended. */
import { emulateMega } from './mega.ts';

const emulator = await emulateMega();
console.log(`export CLAWCHAT_MEGA_GATEWAY=https://localhost:${emulator.port}/`);
console.log(`export CLAWCHAT_MEGA_PIN=${Buffer.from(emulator.pin).toString('hex')}`);
console.log(`# account: ${emulator.email}, password: ${emulator.password}`);
