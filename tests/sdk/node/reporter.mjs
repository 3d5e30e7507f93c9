// Gives each behaviour's outcome to the runner, and the reason of a failure to the reader.
import { appendFileSync } from 'node:fs';

export default async function* report(source) {
  for await (const { type, data } of source) {
    if (data.nesting !== 0 || !(type === 'test:pass' || type === 'test:fail') || data.skip) continue;
    const passed = type === 'test:pass';
    const seconds = data.details.duration_ms / 1000;
    const error = data.details.error;
    const text = passed ? '' : `${(error.cause ?? error).stack ?? error}`;
    appendFileSync(process.env.BEHAVIOURS_RESULTS, `${JSON.stringify({ name: data.name, passed, seconds, text })}\n`);
    yield passed ? '' : `FAILED ${data.name}\n${text}\n\n`;
  }
}
