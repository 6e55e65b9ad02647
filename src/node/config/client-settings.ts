/** The settings of `clawchat`. */
import { SWITCH } from './kinds.ts';
import { type Setting, settingsOf } from './setting.ts';
import { type PlaceSettings, placeSettings, type SharedSettings, sharedSettings } from './shared-settings.ts';

/** Each setting of a client. */
export interface ClientSettings extends SharedSettings {
  readonly receipts: Setting<boolean>;
  readonly typing: Setting<boolean>;
}

const PREFIX = 'CLAWCHAT';
const { one } = settingsOf(PREFIX);

/** Where a client's data and configuration are. */
export const CLIENT_PLACE: PlaceSettings = placeSettings(PREFIX, 'clawchat');

/** Every setting of `clawchat`. */
export const CLIENT_SETTINGS: ClientSettings = {
  ...sharedSettings(PREFIX, {
    proxied: 'host and stores',
    logLevel: 'warn',
    logFile: 'Several commands at once may do so.',
  }),
  receipts: one('chat.receipts', SWITCH, {
    flag: 'no-receipts',
    variable: 'CLAWCHAT_RECEIPTS',
    standard: 'true',
    help: 'tell others what arrived here and what you have read',
    optionHelp: 'do not tell others what arrived here and what you have read',
  }),
  typing: one('chat.typing', SWITCH, {
    flag: 'no-typing',
    variable: 'CLAWCHAT_TYPING',
    standard: 'true',
    help: 'tell others that you write',
    optionHelp: 'do not tell others that you write',
  }),
};
