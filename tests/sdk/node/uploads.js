'use strict';
// File upload: by the SDK's own call, and step by step with the storage SDK.

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { Readable } = require('node:stream');

const { BlockBlobClient } = require('@azure/storage-blob');
const { behaviour, service, thingstead, until } = require('./harness');
const { connect, create } = require('./identities');

/** What back ends are told of uploads, by the file's name. The receiver ends with the service client. */
async function notifications() {
  const told = new Map();
  const receiver = await new Promise((resolve, reject) => {
    service.getFileNotificationReceiver((error, opened) => (error ? reject(error) : resolve(opened)));
  });
  receiver.on('message', (message) => {
    const notification = JSON.parse(message.data);
    told.set(notification.blobName, notification);
    receiver.complete(message, () => {});
  });
  return told;
}

behaviour('file_upload_is_told', async (context) => {
  const told = await notifications();
  const device = await create({ cell: { transport: 'mqtt' } });
  const client = await connect(context, device);
  const content = crypto.randomBytes(5_000_000);
  await client.uploadToBlob('pictures/one.bin', Readable.from([content]), content.length);
  const name = `${device.device}/pictures/one.bin`;
  const notification = await until(() => told.get(name), `the notification about ${name}`);
  assert.equal(notification.deviceId, device.device);
  assert.equal(notification.blobSizeInBytes, content.length);
  const got = JSON.parse(await thingstead('file', 'list', '--device-id', device.device, '-o', 'json'));
  assert.deepEqual(got.map((file) => [file.name, file.sizeBytes]), [[name, content.length]]);
});

behaviour('file_upload_step_by_step', async (context) => {
  const device = await create({ cell: { transport: 'https' } });
  const client = await connect(context, device);
  const info = await client.getBlobSharedAccessSignature('two.txt');
  const url = `https://${info.hostName}/${info.containerName}/${info.blobName}${info.sasToken}`;
  const blob = new BlockBlobClient(url);
  const answer = await blob.upload('hello', 5);
  assert.equal(answer._response.status, 201);
  await blob.uploadData(Buffer.alloc(3_000_000, 7), { blockSize: 1_000_000, maxSingleShotSize: 1_000_000 });
  await client.notifyBlobUploadStatus(info.correlationId, true, 200, 'done');
  const got = JSON.parse(await thingstead('file', 'list', '--device-id', device.device, '-o', 'json'));
  assert.equal(got[0].sizeBytes, 3_000_000);
  await assert.rejects(blob.upload('later', 5));
});
