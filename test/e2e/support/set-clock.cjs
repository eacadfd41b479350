// Loaded into a task-runner by NODE_OPTIONS: its wall clock runs ahead of the real one by the milliseconds that the file
// named by SET_CLOCK_FILE says, and jumps when that changes. Timers and the monotonic clock go on, as with a real one.
const fs = require('node:fs');
const process = require('node:process');
const { setInterval } = require('node:timers');

const RealDate = Date;
let ahead = 0;
const look = () => {
  ahead = Number(fs.readFileSync(process.env.SET_CLOCK_FILE, 'utf8'));
};
look();
setInterval(look, 20).unref();

globalThis.Date = class Date extends RealDate {
  constructor(...given) {
    if (given.length === 0) super(RealDate.now() + ahead);
    else super(...given);
  }

  static now() {
    return RealDate.now() + ahead;
  }
};
