// Gives each behaviour's outcome to the runner, and the reason of a failure to the reader.
import { appendFileSync } from 'node:fs';

export default async function* report(source) {
  for await (const { type, data } of source) {
    const isOutcome = type === 'test:pass' || type === 'test:fail';
    if (!isOutcome || data.skip || data.details.type === 'suite') continue;
    const passed = type === 'test:pass';
    const seconds = data.details.duration_ms / 1000;
    const error = data.details.error;
    const text = passed ? '' : `${(error.cause ?? error).stack ?? error}`;
    // A behaviour of the matrix is called `cell / behaviour`.
    const [name, cell = null] = data.name.split(' / ').reverse();
    appendFileSync(process.env.BEHAVIOURS_RESULTS, `${JSON.stringify({ name, cell, passed, seconds, text })}\n`);
    yield passed ? '' : `FAILED ${data.name}\n${text}\n\n`;
  }
}
