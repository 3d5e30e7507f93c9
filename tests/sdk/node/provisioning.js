'use strict';
// Enrollments, groups and registrations, by the service SDK.

const assert = require('node:assert/strict');
const { X509Certificate } = require('node:crypto');
const { ProvisioningServiceClient } = require('azure-iot-provisioning-service');
const { behaviour, shown } = require('./harness');
const { newKeys } = require('./identities');
const { enroll, newId, provisioning, put, register, runBulk, serviceRefusal } = require('./enrollments');

const BULK_MAX = 10;
const STALE = '"stale"';

const symmetric = () => ({ type: 'symmetricKey', symmetricKey: newKeys() });
const group = (context) => ({ ...context, cell: { credential: 'symmetric-group', transport: 'mqtt' } });

behaviour('enrollments_are_kept', async (context) => {
  const registrationId = newId('Device-1.a:b');
  const attestation = symmetric();
  const document = {
    registrationId,
    deviceId: 'the-device@hub',
    attestation,
    provisioningStatus: 'enabled',
    initialTwin: { tags: { site: { floor: 2 } }, properties: { desired: { interval: 5, list: [1, 'zwei'] } } },
    capabilities: { iotEdge: true },
    reprovisionPolicy: { updateHubAssignment: true, migrateDeviceData: true },
    allocationPolicy: 'static',
    iotHubs: [shown.hostName],
    optionalDeviceInformation: { batch: 7 },
  };
  const created = await put(context, document);
  assert.ok(created.etag && created.createdDateTimeUtc && created.lastUpdatedDateTimeUtc);
  const read = (await provisioning.getIndividualEnrollment(registrationId)).responseBody;
  const { attestation: shownAttestation, ...rest } = read;
  assert.equal(shownAttestation.type, 'symmetricKey');
  for (const [name, value] of Object.entries(document)) {
    if (name !== 'attestation') assert.deepEqual(rest[name], value, name);
  }
  // The SDK sends the etag along.
  const updated = await put(context, { ...read, provisioningStatus: 'disabled' });
  assert.equal(updated.provisioningStatus, 'disabled');
  assert.notEqual(updated.etag, created.etag);
  const told = (await provisioning.getIndividualEnrollmentAttestationMechanism(registrationId)).responseBody;
  assert.deepEqual(told.symmetricKey, attestation.symmetricKey);
  await provisioning.deleteIndividualEnrollment(updated);
  assert.equal((await serviceRefusal(provisioning.getIndividualEnrollment(registrationId))).status, 404);
});

behaviour('enrollment_groups_are_kept', async (context) => {
  const enrollmentGroupId = newId('Group');
  const attestation = symmetric();
  const created = await put(context, { enrollmentGroupId, attestation, initialTwin: { tags: { site: 'north' } }, iotHubs: [shown.hostName] });
  const read = (await provisioning.getEnrollmentGroup(enrollmentGroupId)).responseBody;
  assert.equal(read.enrollmentGroupId, enrollmentGroupId);
  assert.equal(read.etag, created.etag);
  assert.deepEqual(read.initialTwin.tags, { site: 'north' });
  assert.deepEqual(read.iotHubs, [shown.hostName]);
  const updated = await put(context, { ...read, provisioningStatus: 'disabled' });
  assert.equal(updated.provisioningStatus, 'disabled');
  const told = (await provisioning.getEnrollmentGroupAttestationMechanism(enrollmentGroupId)).responseBody;
  assert.deepEqual(told.symmetricKey, attestation.symmetricKey);
  await provisioning.deleteEnrollmentGroup(enrollmentGroupId, updated.etag);
  assert.equal((await serviceRefusal(provisioning.getEnrollmentGroup(enrollmentGroupId))).status, 404);
});

behaviour('enrollment_keys_are_made_and_told_on_request', async (context) => {
  const registrationId = newId('device');
  await put(context, { registrationId, attestation: { type: 'symmetricKey' } });
  const { symmetricKey } = (await provisioning.getIndividualEnrollmentAttestationMechanism(registrationId)).responseBody;
  assert.ok(symmetricKey.primaryKey && symmetricKey.secondaryKey);
  assert.notEqual(symmetricKey.primaryKey, symmetricKey.secondaryKey);
  const { attestation } = (await provisioning.getIndividualEnrollment(registrationId)).responseBody;
  assert.equal(attestation.symmetricKey?.primaryKey ?? null, null);
  assert.equal((await serviceRefusal(provisioning.getIndividualEnrollmentAttestationMechanism('nobody'))).status, 404);
});

behaviour('enrollments_are_written_back_as_they_were_read', async (context) => {
  const initialTwin = { tags: { site: { floor: 2 } }, properties: { desired: { list: [1, 'zwei'] } } };
  const cells = ['symmetric-individual', 'x509-individual-primary', 'symmetric-group', 'x509-group-root', 'x509-group-intermediate'];
  for (const credential of cells) {
    const own = { ...context, cell: { credential, transport: 'mqtt' } };
    const { enrollment } = await enroll(own, { initialTwin });
    const { enrollmentGroupId, registrationId } = enrollment;
    const kind = enrollmentGroupId === undefined ? 'IndividualEnrollment' : 'EnrollmentGroup';
    const id = enrollmentGroupId ?? registrationId;
    const told = async () => (await provisioning[`get${kind}AttestationMechanism`](id)).responseBody;
    const before = await told();
    const read = (await provisioning[`get${kind}`](id)).responseBody;
    // All that was read goes back, without the keys, which are not told.
    const written = await put(own, { ...read, provisioningStatus: 'disabled' });
    assert.equal(written.provisioningStatus, 'disabled', credential);
    assert.deepEqual(await told(), before, credential);
    assert.deepEqual(written.initialTwin, initialTwin, credential);
  }
});

behaviour('enrollment_refusals', async (context) => {
  const individual = await enroll(context);
  const ofGroup = await enroll(group(context));
  for (const { enrollment, attestation } of [individual, ofGroup]) {
    const { etag, ...document } = { ...enrollment, attestation };
    const twice = await serviceRefusal(put(context, document));
    assert.equal(twice.status, 409);
    assert.equal(Math.floor(twice.error.errorCode / 1000), 409);
    assert.ok(twice.error.trackingId && twice.error.message && twice.error.timestampUtc && etag);
    assert.equal((await serviceRefusal(put(context, { ...document, etag: STALE }))).status, 412);
  }
  const { registrationId } = individual.enrollment;
  assert.equal((await serviceRefusal(provisioning.deleteIndividualEnrollment(registrationId, STALE))).status, 412);
  for (const verb of ['getIndividualEnrollment', 'getEnrollmentGroup', 'getDeviceRegistrationState']) {
    assert.equal((await serviceRefusal(provisioning[verb]('nobody'))).status, 404, verb);
  }
  assert.equal((await serviceRefusal(provisioning.deleteIndividualEnrollment('nobody'))).status, 404);
  assert.equal((await serviceRefusal(put(context, { registrationId: 'ends.', attestation: symmetric() }))).status, 400);
  const forged = shown.provisioning.connectionString.replace(/SharedAccessKey=.*/, `SharedAccessKey=${newKeys().primaryKey}`);
  const stranger = ProvisioningServiceClient.fromConnectionString(forged);
  assert.equal((await serviceRefusal(stranger.getIndividualEnrollment(registrationId))).status, 401);
});

behaviour('enrollments_change_in_bulk', async (context) => {
  const make = () => ({ registrationId: newId('bulk'), attestation: symmetric() });
  const enrollments = Array.from({ length: BULK_MAX }, make);
  const ids = enrollments.map(({ registrationId }) => registrationId);
  const created = await runBulk({ mode: 'create', enrollments });
  assert.equal(created.isSuccessful, true);
  const again = await runBulk({ mode: 'create', enrollments: enrollments.slice(0, 1) });
  assert.equal(again.isSuccessful, false);
  assert.equal(again.errors[0].registrationId, ids[0]);
  assert.equal(Math.floor(again.errors[0].errorCode / 1000), 409);
  const disabled = enrollments.map((each) => ({ ...each, provisioningStatus: 'disabled' }));
  assert.equal((await runBulk({ mode: 'update', enrollments: disabled })).isSuccessful, true);
  const read = (await provisioning.getIndividualEnrollment(ids[9])).responseBody;
  assert.equal(read.provisioningStatus, 'disabled');
  const conditional = [{ ...disabled[9], etag: read.etag }, { ...disabled[8], etag: STALE }];
  const stale = await runBulk({ mode: 'updateIfMatchETag', enrollments: conditional });
  assert.deepEqual(stale.errors.map(({ registrationId }) => registrationId), [ids[8]]);
  const many = runBulk({ mode: 'create', enrollments: [...enrollments, make()] });
  assert.equal((await serviceRefusal(many)).status, 400);
  assert.equal((await runBulk({ mode: 'delete', enrollments })).isSuccessful, true);
  assert.equal((await serviceRefusal(provisioning.getIndividualEnrollment(ids[0]))).status, 404);
});

behaviour('registration_tells_its_certificates', async (context) => {
  for (const transport of ['mqtt', 'amqp', 'https']) {
    const cell = { credential: 'x509-group-intermediate', transport };
    const registrant = await enroll({ ...context, cell });
    const state = await register(registrant);
    const { certificate } = await registrant.proof('own');
    const [leaf, above] = certificate.certificate.match(/-----BEGIN[^]*?-----END CERTIFICATE-----/g).map((pem) => new X509Certificate(pem));
    const record = (await provisioning.getDeviceRegistrationState(registrant.registration)).responseBody;
    for (const { x509 } of [state, record]) {
      assert.equal(x509.enrollmentGroupId, registrant.enrollment.enrollmentGroupId);
      for (const [told, real] of [[x509.certificateInfo, leaf], [x509.signingCertificateInfo, above]]) {
        assert.equal(told.subjectName, real.subject);
        assert.equal(told.issuerName, real.issuer);
        assert.equal(told.sha1Thumbprint, real.fingerprint.replaceAll(':', ''));
        assert.equal(told.sha256Thumbprint, real.fingerprint256.replaceAll(':', ''));
        assert.equal(BigInt(`0x${told.serialNumber}`), BigInt(`0x${real.serialNumber}`));
        assert.equal(Date.parse(told.notBeforeUtc), Date.parse(real.validFrom));
        assert.equal(Date.parse(told.notAfterUtc), Date.parse(real.validTo));
        assert.equal(told.version, 3);
      }
    }
  }
});

/** Without a token given, the promise of the SDK is of the first page again. */
async function pagesOf(query) {
  const pages = [];
  do pages.push((await query.next(query.continuationToken)).responseBody);
  while (query.hasMoreResults);
  return pages;
}

behaviour('enrollment_queries_are_paged', async (context) => {
  const registrants = [await enroll(context), await enroll(context), await enroll(context)];
  const groups = [await enroll(group(context)), await enroll(group(context))];
  const individual = provisioning.createIndividualEnrollmentQuery({ query: 'select * from enrollments' }, 2);
  const pages = await pagesOf(individual);
  assert.ok(pages.slice(0, -1).every((page) => page.length === 2));
  const ids = pages.flat().map(({ registrationId }) => registrationId);
  assert.ok(registrants.every(({ registration }) => ids.includes(registration)));
  assert.equal(new Set(ids).size, ids.length);
  const found = (await pagesOf(provisioning.createEnrollmentGroupQuery({ query: 'SELECT * FROM enrollmentGroups' }, 1))).flat();
  const names = found.map(({ enrollmentGroupId }) => enrollmentGroupId);
  assert.ok(groups.every(({ enrollment }) => names.includes(enrollment.enrollmentGroupId)));
  const wrong = provisioning.createIndividualEnrollmentQuery({ query: 'select nothing' });
  assert.equal((await serviceRefusal(wrong.next())).status, 400);
});

behaviour('registration_records_are_read_and_deleted', async (context) => {
  const registrant = await enroll(group(context));
  const { registration, enrollment } = registrant;
  await register(registrant);
  const states = provisioning.createEnrollmentGroupDeviceRegistrationStateQuery(
    { query: 'select * from enrollments' }, enrollment.enrollmentGroupId, 10,
  );
  const [state, ...others] = (await pagesOf(states)).flat();
  assert.equal(state.registrationId, registration);
  assert.deepEqual(others, []);
  assert.equal((await serviceRefusal(provisioning.deleteDeviceRegistrationState(registration, STALE))).status, 412);
  await provisioning.deleteDeviceRegistrationState(state);
  assert.equal((await serviceRefusal(provisioning.getDeviceRegistrationState(registration))).status, 404);
  assert.equal((await register(registrant)).status, 'assigned');
});
