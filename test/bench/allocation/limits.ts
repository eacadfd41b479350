// What holds back what is missed. The figures of a cell are those of the same run; the others say where they were taken.
import { cpuText, perSecond, type Tallies } from './tally';

/** Of a cell: how many cores were busy for what. */
const cost = ({ service, sql }: Tallies): string =>
  `In this run the CPU of a pair was ${cpuText(service)}, and by SQL ${cpuText(sql)} (in brackets: cores busy).`;

export const hotPool = (tallies: Tallies): string =>
  `One chain of transactions. The next one on a pool can be read only when the one before is written, for only then is its ETag known, and Dapr's PostgreSQL store makes a round trip of every operation. On 2 × AMD EPYC, idle but for this, a transaction of 16 orders was 20 round trips of 0.33 ms, 2.9 ms for the read before and 1 ms for the disk: 10.5 ms for 8 pairs, whatever CPU is left. More lanes, a longer wait for company and another GOMAXPROCS or GOGC of the sidecar changed nothing beyond the noise. What would: a store that writes a transaction in one round trip, or one that tells the new ETag. ${cost(tallies)}`;

export const manyPools = (tallies: Tallies): string =>
  `CPU. All cores are busy, and a pair is two HTTP requests, four rows in two state transactions and two events, where SQL has eight short statements. The service's own part is flat: by V8's profile sockets 17 to 23 %, garbage 10 %, the log 3 %, validation 3 %, no other function above 2 %; of the sidecar’s, by pprof, half are state transactions (reading their JSON is half of that), a tenth is reading rows, a twelfth publishing. ${cost(tallies)}`;

/** Little's law: who waits in a closed loop waits for all the others. */
export const slowest = (tallies: Tallies, clients: number): string => {
  const mean = (1000 * clients) / (2 * perSecond(tallies.service));
  return `It follows from the rate: ${clients} clients that ask again at once wait ${mean.toFixed(0)} ms on average at the slower of the two rates, and who comes just after a transaction has begun waits for that one and for its own. The causes are those of the rate.`;
};

export const ALONE =
  'Two calls of the sidecar, one after the other: a read, and a transaction of three operations, which is five round trips and a flush to the disk. On 2 × Intel Xeon the fastest of 300 calls of the sidecar for `SELECT 1` took 0.55 ms, where `pg` took 0.08 ms.';

export const LIST =
  'Two hops. On 2 × Intel Xeon, the fastest of 300 pages each, so that other work does not count: 0.53 ms by `pg`, 1.28 ms by Dapr’s binding alone (0.08 and 0.55 for `SELECT 1`), 2.24 ms by the service. The binding alone is above twice the SQL: it reads the rows, writes them as JSON in JSON, and sends 31 kB once more. Of the service’s 0.96 ms, by V8’s profile, a quarter is writing to sockets, a tenth each garbage and the check of 100 rows, a twentieth each the log and reading the JSON.';
