'use strict';
// Attestation by a TPM: what the server challenges with, opened by the SDK in a TPM.

const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const crypto = require('node:crypto');
const path = require('node:path');
const { promisify } = require('node:util');

const { Client } = require('azure-iot-device');
const { TpmAuthenticationProvider } = require('azure-iot-security-tpm');
const { Mqtt } = require('azure-iot-device-mqtt');
const { ProvisioningDeviceClient } = require('azure-iot-provisioning-device');
const { Amqp } = require('azure-iot-provisioning-device-amqp');
const { Http } = require('azure-iot-provisioning-device-http');
const { newId, put } = require('./enrollments');
const { behaviour, events, shown } = require('./harness');
const { Message } = require('./identities');
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

/** A device with a TPM registers, gets the key of its hub into the TPM, and connects there with it. */
async function registersWithTpm(context, Transport) {
  const registrationId = newId('tpm');
  const security = securityClient(await startTpm(context), registrationId);
  const endorsementKey = (await called((done) => security.getEndorsementKey(done))).toString('base64');
  await put(context, { registrationId, attestation: { type: 'tpm', tpm: { endorsementKey } } });
  const { globalEndpoint, idScope } = shown.provisioning;
  const client = ProvisioningDeviceClient.create(globalEndpoint, idScope, new Transport(), security);
  // Unlike the other clients of the SDK this one gives the status of the operation.
  const { registrationState: state } = await called((done) => client.register(done));
  assert.equal(state.assignedHub, shown.hostName);
  assert.equal(state.deviceId, registrationId);

  const provider = TpmAuthenticationProvider.fromTpmSecurityClient(state.deviceId, state.assignedHub, security);
  const device = Client.fromAuthenticationProvider(provider, Mqtt);
  context.opened.push(device);
  await device.open();
  await device.sendEvent(new Message('signed in the TPM'));
  const [event] = await events({ device: registrationId }, 1);
  assert.equal(event.body.toString(), 'signed in the TPM');
}

behaviour('tpm_registers_over_https', (context) => registersWithTpm(context, Http));

behaviour('tpm_registers_over_amqp', (context) => registersWithTpm(context, Amqp));
