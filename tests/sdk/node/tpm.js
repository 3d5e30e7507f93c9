'use strict';
// Attestation by a TPM: what the server challenges with, opened by the SDK in a TPM.

const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const crypto = require('node:crypto');
const path = require('node:path');
const { promisify } = require('node:util');

const { behaviour } = require('./harness');
const { called, makeCurveKeys, securityClient, startTpm } = require('./software-tpm');

const CHALLENGE = path.join(path.dirname(process.env.BEHAVIOURS_BINARY), 'examples', 'tpm_challenge');
const run = promisify(execFile);

/** Sends an HMAC key through a challenge into the TPM, and checks that the TPM signs by it. */
async function importKey(client, key) {
  const endorsementKey = await called((done) => client.getEndorsementKey(done));
  const storageRootKey = await called((done) => client.getStorageRootKey(done));
  const keys = [endorsementKey, storageRootKey, key].map((bytes) => bytes.toString('base64'));
  const { stdout } = await run(CHALLENGE, keys);
  await called((done) => client.activateIdentityKey(Buffer.from(stdout, 'base64'), done));
  const signed = await called((done) => client.signWithIdentity(Buffer.from('to be signed'), done));
  assert.equal(signed.toString('hex'), crypto.createHmac('sha256', key).update('to be signed').digest('hex'));
}

behaviour('tpm_imports_the_key_it_is_challenged_with', async (context) => {
  const client = securityClient(await startTpm(context), 'd1');
  for (const bytes of [16, 32, 64]) await importKey(client, crypto.randomBytes(bytes));
});

behaviour('tpm_with_keys_on_a_curve_is_challenged_too', async (context) => {
  const tpm = await startTpm(context);
  await makeCurveKeys(tpm);
  await importKey(securityClient(tpm, 'd1'), crypto.randomBytes(32));
});
