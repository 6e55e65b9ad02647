// Signs an address that lets its holder PUT one S3 object for a while (AWS Signature Version 4, query form).
// Prints it, or replaces FILE by it. Run by a timer, it keeps the `writeFrom` file of a store fresh: docs/stores.md.
//
//   node presign-s3.mjs https://ENDPOINT/BUCKET/KEY --region REGION [--days 7] [--out FILE]
//
// Keys come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
import { createHash, createHmac } from 'node:crypto';
import { renameSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

const DAYS_MAX = 7;

const hmac = (key, text) => createHmac('sha256', key).update(text).digest();
const encode = text =>
  encodeURIComponent(text).replace(/[!'()*]/g, c => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

/** Sign. `now` is Unix milliseconds; the method is PUT unless the test says otherwise. */
export function presign({ url, region, accessKey, secretKey, expiresS, now, method = 'PUT' }) {
  const address = new URL(url);
  const stamp = new Date(now).toISOString().replace(/[-:]|\.\d{3}/g, '');
  const day = stamp.slice(0, 8);
  const scope = `${day}/${region}/s3/aws4_request`;
  const query = [
    ['X-Amz-Algorithm', 'AWS4-HMAC-SHA256'],
    ['X-Amz-Credential', `${accessKey}/${scope}`],
    ['X-Amz-Date', stamp],
    ['X-Amz-Expires', String(expiresS)],
    ['X-Amz-SignedHeaders', 'host'],
  ]
    .map(([key, value]) => `${key}=${encode(value)}`)
    .join('&');
  const request = [
    method,
    address.pathname,
    query,
    `host:${address.host}\n`,
    'host',
    'UNSIGNED-PAYLOAD',
  ].join('\n');
  const digest = createHash('sha256').update(request).digest('hex');
  const key = [day, region, 's3', 'aws4_request'].reduce(hmac, `AWS4${secretKey}`);
  const signature = hmac(key, ['AWS4-HMAC-SHA256', stamp, scope, digest].join('\n')).toString('hex');
  return `${address.origin}${address.pathname}?${query}&X-Amz-Signature=${signature}`;
}

const USAGE = `usage: presign-s3.mjs URL [--region REGION] [--days DAYS] [--out FILE]

signs an address that lets its holder PUT the object at URL for up to ${DAYS_MAX} days; prints it, or replaces FILE by it

  URL              https://ENDPOINT/BUCKET/KEY, or https://BUCKET.ENDPOINT/KEY
  --region REGION  of the bucket (default: us-east-1)
  --days DAYS      how long the address works, above 0, at most ${DAYS_MAX} (default: ${DAYS_MAX})
  --out FILE       the file that "writeFrom" of the store names

The keys come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: those of a user, not of a session.`;

function refuse(text) {
  console.error(`presign-s3.mjs: ${text}`);
  process.exit(2);
}

/** What the command line says. */
function given() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        region: { type: 'string', default: 'us-east-1' },
        days: { type: 'string', default: '7' },
        out: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    return refuse(`${error.message}\n${USAGE}`);
  }
}

function main() {
  const { values, positionals } = given();
  if (values.help) {
    console.log(USAGE);
    return;
  }
  const { AWS_ACCESS_KEY_ID: accessKey, AWS_SECRET_ACCESS_KEY: secretKey } = process.env;
  const days = Number(values.days);
  if (positionals.length !== 1) refuse(USAGE);
  if (!URL.canParse(positionals[0])) refuse('URL is no address: https://ENDPOINT/BUCKET/KEY');
  if (!accessKey || !secretKey) refuse('set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY');
  if (process.env.AWS_SESSION_TOKEN)
    refuse('the keys of a session (AWS_SESSION_TOKEN) end within hours: take those of a user');
  if (!(days > 0 && days <= DAYS_MAX)) refuse(`--days takes more than 0 and at most ${DAYS_MAX}`);
  const expiresS = Math.floor(days * 86_400);
  const signed = presign({
    url: positionals[0],
    region: values.region,
    accessKey,
    secretKey,
    expiresS,
    now: Date.now(),
  });
  if (values.out === undefined) {
    console.log(signed);
    return;
  }
  const temporary = `${values.out}.new`;
  writeFileSync(temporary, `${signed}\n`, { mode: 0o600 });
  renameSync(temporary, values.out);
}

if (process.argv[1]?.endsWith('presign-s3.mjs')) main();
