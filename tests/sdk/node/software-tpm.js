'use strict';
// A TPM 2.0 in software (swtpm) for the Node SDK, which would look for one in /dev.

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');

const { TpmSecurityClient } = require('azure-iot-security-tpm');
const {
  NullPwSession, Endorsement, Owner, Tpm, TPM_ALG_ID, TPM_ECC_CURVE, TPM_HANDLE, TPMA_OBJECT,
  TPMS_ECC_PARMS, TPMS_ECC_POINT, TPMS_NULL_ASYM_SCHEME, TPMS_NULL_KDF_SCHEME, TPMS_SENSITIVE_CREATE, TPMT_PUBLIC,
  TPMT_SYM_DEF_OBJECT,
} = require('tss.js');
const { until } = require('./harness');

// Where the SDK keeps a device's keys.
const ENDORSEMENT_KEY = new TPM_HANDLE(0x81010001);
const STORAGE_ROOT_KEY = new TPM_HANDLE(0x81000001);
// The policy of endorsement keys: whoever may use the endorsement hierarchy ("EK Credential Profile", B.2).
const ENDORSEMENT_POLICY = Buffer.from('837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa', 'hex');
const RESPONSE_HEADER_BYTES = 10;

/** Starts a TPM without keys; it ends with the behaviour. */
async function startTpm(context) {
  const folder = fs.mkdtempSync(path.join(process.env.BEHAVIOURS_SCRATCH, 'tpm-'));
  const socket = path.join(folder, 'socket');
  const child = spawn('swtpm', [
    'socket', '--tpm2', '--tpmstate', `dir=${folder}`, '--server', `type=unixio,path=${socket}`,
    '--flags', 'not-need-init,startup-clear', '--log', `file=${folder}/log`,
  ]);
  child.on('error', (error) => {
    throw error;
  });
  const device = new SocketDevice(socket);
  context.opened.push({
    removeAllListeners() {},
    async close() {
      device.close();
      child.kill();
    },
  });
  await until(() => fs.existsSync(socket), 'swtpm listens');
  const tpm = new Tpm(false);
  tpm.device = device;
  await called((done) => tpm.connect(done));
  return tpm;
}

/** What tss.js asks of a device, over a socket with nothing but commands and responses. It serves one connection. */
class SocketDevice {
  constructor(address) {
    this.address = address;
    this.socket = undefined;
  }

  connect(done) {
    if (this.socket) {
      setImmediate(done, null);
      return null;
    }
    this.socket = net.connect(this.address, () => done(null));
    this.socket.once('error', done);
    return null;
  }

  dispatchCommand(command, done) {
    let response = Buffer.alloc(0);
    this.socket.removeAllListeners('data');
    this.socket.on('data', (part) => {
      response = Buffer.concat([response, part]);
      if (response.length >= RESPONSE_HEADER_BYTES && response.length >= response.readUInt32BE(2)) {
        setImmediate(done, null, response);
      }
    });
    this.socket.write(command);
  }

  close() {
    this.socket?.end();
  }
}

/** The SDK's client of that TPM. It makes RSA keys where it finds none. */
function securityClient(tpm, registrationId) {
  return new TpmSecurityClient(registrationId, tpm);
}

/** Makes P-256 keys where the SDK looks for its own. */
async function makeCurveKeys(tpm) {
  const { restricted, decrypt, fixedTPM, fixedParent, sensitiveDataOrigin, adminWithPolicy, userWithAuth, noDA } =
    TPMA_OBJECT;
  const storage = restricted | decrypt | fixedTPM | fixedParent | sensitiveDataOrigin;
  await makePrimary(tpm, Endorsement, ENDORSEMENT_KEY, storage | adminWithPolicy, ENDORSEMENT_POLICY);
  await makePrimary(tpm, Owner, STORAGE_ROOT_KEY, storage | userWithAuth | noDA, Buffer.alloc(0));
}

async function makePrimary(tpm, hierarchy, handle, attributes, policy) {
  const cipher = new TPMT_SYM_DEF_OBJECT(TPM_ALG_ID.AES, 128, TPM_ALG_ID.CFB);
  const curve = TPM_ECC_CURVE.NIST_P256;
  const parameters = new TPMS_ECC_PARMS(cipher, new TPMS_NULL_ASYM_SCHEME(), curve, new TPMS_NULL_KDF_SCHEME());
  const template = new TPMT_PUBLIC(TPM_ALG_ID.SHA256, attributes, policy, parameters, new TPMS_ECC_POINT());
  const secret = new TPMS_SENSITIVE_CREATE();
  const made = await called((done) => {
    tpm.withSession(NullPwSession).CreatePrimary(hierarchy, secret, template, Buffer.alloc(0), [], done);
  });
  await called((done) => tpm.withSession(NullPwSession).EvictControl(Owner, made.handle, handle, done));
  await called((done) => tpm.FlushContext(made.handle, done));
}

/** The result of a call that takes a callback. */
function called(call) {
  return new Promise((resolve, reject) => {
    call((error, result) => (error ? reject(error) : resolve(result)));
  });
}

module.exports = { called, makeCurveKeys, securityClient, startTpm };
