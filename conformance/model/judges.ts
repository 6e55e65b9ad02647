/** The judge of each family. */
import { judgeChat } from './judge/chat.ts';
import { judgeConnectionFile } from './judge/connection-file.ts';
import { judgeDerivation, judgeWords } from './judge/derivation.ts';
import { judgeEnrolment } from './judge/enrolment.ts';
import { judgeGate, judgeHandshake } from './judge/handshake.ts';
import { judgeInviteVector } from './judge/invite.ts';
import type { Judges } from './judge/judge.ts';
import { judgeRecords } from './judge/records.ts';
import { judgeRotation } from './judge/rotation.ts';
import { judgeSession } from './judge/session.ts';

export const JUDGES: Judges = {
  derivation: judgeDerivation,
  words: judgeWords,
  invite: judgeInviteVector,
  gate: judgeGate,
  handshake: judgeHandshake,
  'connection-file': judgeConnectionFile,
  records: judgeRecords,
  enrolment: judgeEnrolment,
  session: judgeSession,
  chat: judgeChat,
  rotation: judgeRotation,
};
