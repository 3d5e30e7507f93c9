'use strict';
// The provisioning service as its owner sees it, and devices that register with it.

const crypto = require('node:crypto');
const http = require('node:http');
const { promisify } = require('node:util');

const { ProvisioningDeviceClient } = require('azure-iot-provisioning-device');
const { Amqp, AmqpWs } = require('azure-iot-provisioning-device-amqp');
const { Http } = require('azure-iot-provisioning-device-http');
const { Mqtt, MqttWs } = require('azure-iot-provisioning-device-mqtt');
const { ProvisioningServiceClient } = require('azure-iot-provisioning-service');
const { SymmetricKeySecurityClient } = require('azure-iot-security-symmetric-key');
const { X509Security } = require('azure-iot-security-x509');
const { ask, events, shown } = require('./harness');
const { connect, Message, newKeys } = require('./identities');

const TRANSPORTS = { mqtt: Mqtt, 'mqtt-ws': MqttWs, amqp: Amqp, 'amqp-ws': AmqpWs, https: Http };

/** The provisioning service of one installation, as its owner sees it and as its devices do. */
class Provisioning {
  constructor({ hostName, provisioning: { connectionString, globalEndpoint, idScope } }, eventsOf = events) {
    this.client = ProvisioningServiceClient.fromConnectionString(connectionString);
    this.globalEndpoint = globalEndpoint;
    this.idScope = idScope;
    this.hosts = [hostName];
    this.eventsOf = eventsOf;
    // How the runner calls it when it makes authorities.
    this.where = '';
  }
}

const home = new Provisioning(shown);
const provisioning = home.client;

const newId = (kind) => `${kind}-${crypto.randomBytes(6).toString('hex')}`;

function derivedKey(groupKey, registration) {
  return crypto.createHmac('sha256', Buffer.from(groupKey, 'base64')).update(registration).digest('base64');
}

/** What the enrollment says, and what the device presents for a slot: by the words of the matrix. */
const ATTESTATIONS = {
  'symmetric-individual': async () => {
    const symmetricKey = newKeys();
    const key = (slot) => (slot === 'wrong' ? newKeys().primaryKey : symmetricKey.primaryKey);
    return { attestation: { type: 'symmetricKey', symmetricKey }, proof: async (slot) => ({ key: key(slot) }) };
  },
  'symmetric-group': async (registration) => {
    const symmetricKey = newKeys();
    const key = (slot) => (slot === 'wrong' ? newKeys().primaryKey : symmetricKey.primaryKey);
    const proofOf = (device) => async (slot) => ({ key: derivedKey(key(slot), device) });
    return { group: true, attestation: { type: 'symmetricKey', symmetricKey }, proof: proofOf(registration), proofOf };
  },
  'x509-individual-primary': (registration) => clientCertificates(registration, 'primary'),
  'x509-individual-secondary': (registration) => clientCertificates(registration, 'secondary'),
  'x509-group-root': (registration, context) =>
    authority(registration, context, ({ name }) => ({ caReferences: { primary: name } })),
  'x509-group-intermediate': (registration, context) =>
    authority(registration, context, ({ intermediate }) => ({
      signingCertificates: { primary: { certificate: intermediate } },
    })),
};

async function clientCertificates(registration, slot) {
  const make = () => ask(`self-signed?${encodeURIComponent(registration)}`);
  const slots = { primary: await make(), secondary: await make() };
  const [primary, secondary] = [slots.primary, slots.secondary].map(({ certificate }) => ({ certificate }));
  return {
    attestation: { type: 'x509', x509: { clientCertificates: { primary, secondary } } },
    proof: async (wanted) => ({ certificate: wanted === 'wrong' ? await make() : slots[slot] }),
  };
}

async function authority(registration, context, x509) {
  const { where } = context.provisioning ?? home;
  const made = await ask(`provisioned${where}`);
  context.atTheEnd.push(() => ask(`forget${where}?${made.name}`));
  const own = await ask(`provisioned-leaf?${made.name}/${encodeURIComponent(registration)}`);
  return {
    group: true,
    attestation: { type: 'x509', x509: x509(made) },
    proof: async (slot) => ({
      certificate: slot === 'wrong' ? await ask(`leaf?${encodeURIComponent(registration)}`) : own,
    }),
  };
}

/**
 * A device that may register, under a new id and as the cell wants it; its enrollment goes when the behaviour ends. With the
 * service of the hub that all behaviours share, unless the context has another one.
 */
async function enroll(context, terms = {}) {
  const { credential = 'symmetric-individual', transport = 'mqtt' } = context.cell;
  const registration = newId('device');
  const { group, attestation, proof, proofOf } = await ATTESTATIONS[credential](registration, context);
  const names = group ? { enrollmentGroupId: newId('group') } : { registrationId: registration };
  const enrollment = await put(context, { ...names, attestation, ...terms });
  return { registration, attestation, proof, proofOf, enrollment, transport, at: context.provisioning ?? home };
}

/** One more device of a group with keys. */
function member(registrant) {
  const registration = newId('device');
  return { ...registrant, registration, proof: registrant.proofOf(registration) };
}

/** Creates or updates an enrollment or a group. */
async function put(context, document) {
  const { verb, remove, id } = verbsOf(document);
  const { client } = context.provisioning ?? home;
  const answer = await client[verb](document);
  if (document.etag === undefined) {
    context.atTheEnd.push(() => client[remove](id).catch(() => {}));
  }
  return answer.responseBody;
}

function verbsOf({ enrollmentGroupId, registrationId }) {
  const kind = enrollmentGroupId === undefined ? 'IndividualEnrollment' : 'EnrollmentGroup';
  return { verb: `createOrUpdate${kind}`, remove: `delete${kind}`, id: enrollmentGroupId ?? registrationId };
}

/** Changes the enrollment; its keys go along, as it does not say them when it is read. */
async function change(context, registrant, members) {
  const { attestation } = registrant;
  registrant.enrollment = await put(context, { ...registrant.enrollment, attestation, ...members });
}

/** The outcome of a registration by the SDK. */
async function register(registrant, { slot = 'own', payload } = {}) {
  const proof = await registrant.proof(slot);
  const transport = new TRANSPORTS[registrant.transport]();
  transport.on('error', () => {});
  const security = proof.key
    ? new SymmetricKeySecurityClient(registrant.registration, proof.key)
    : new X509Security(registrant.registration, { cert: proof.certificate.certificate, key: proof.certificate.key });
  const { globalEndpoint, idScope } = registrant.at;
  const client = ProvisioningDeviceClient.create(globalEndpoint, idScope, transport, security);
  if (payload !== undefined) client.setProvisioningPayload(payload);
  return client.register();
}

/** Registers and is refused; why, in the SDK's words. */
async function refused(registrant, options) {
  let state;
  try {
    state = await register(registrant, options);
  } catch (error) {
    return error;
  }
  throw new Error(`${registrant.registration} was not refused: ${JSON.stringify(state)}`);
}

/** A client of the device at the hub that it was given, connected with the same proof. */
async function atItsHub(context, registrant, state) {
  const { key, certificate } = await registrant.proof('own');
  const credential = key ? 'sas' : 'x509-self-signed';
  const { deviceId: device, assignedHub: host } = state;
  if (!registrant.at.hosts.includes(host)) throw new Error(`assigned to ${host}`);
  const identity = { device, host, credential, transport: registrant.transport, primaryKey: key, primary: certificate };
  return { identity, client: await connect(context, identity) };
}

/** The device connects to its hub with the same proof, and a message of it arrives there. */
async function reachesItsHub(context, registrant, state) {
  const { identity, client } = await atItsHub(context, registrant, state);
  const body = newId('message');
  await client.sendEvent(new Message(body));
  registrant.messages ??= {};
  const before = registrant.messages[identity.host] ?? 0;
  const seen = await registrant.at.eventsOf(identity, before + 1);
  registrant.messages[identity.host] = seen.length;
  if (seen.at(-1).body.toString() !== body) throw new Error(`${seen.at(-1).body} came instead of ${body}`);
}

/** An allocation webhook that answers with what the function says; its address. */
async function webhook(context, answer) {
  const server = http.createServer(async (request, response) => {
    let text = '';
    for await (const part of request) text += part;
    const [status, document] = answer(JSON.parse(text));
    response.writeHead(status, { 'Content-Type': 'application/json' });
    response.end(JSON.stringify(document));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.atTheEnd.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const customAllocationDefinition = {
    webhookUrl: `http://127.0.0.1:${server.address().port}/allocate`,
    apiVersion: '2021-10-01',
  };
  return { allocationPolicy: 'custom', customAllocationDefinition };
}

/** The SDK's bulk call answers a callback alone. */
const runBulk = promisify(provisioning.runBulkEnrollmentOperation.bind(provisioning));

/** The status that the service refuses a call with, and its error document. */
async function serviceRefusal(promise) {
  try {
    await promise;
  } catch (error) {
    return { status: error.response?.statusCode, error: JSON.parse(error.responseBody) };
  }
  throw new Error('the call was not refused');
}

module.exports = {
  atItsHub, change, enroll, member, newId, Provisioning, provisioning, put, reachesItsHub, refused, register, runBulk,
  serviceRefusal, webhook,
};
