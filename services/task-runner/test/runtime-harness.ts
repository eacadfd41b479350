import type { ContainerRuntime, LogLine } from '../ports/container-runtime';

/** What the suite needs of a runtime beside the port: ways to make things happen inside and behind its back. */
export interface RuntimeHarness {
  runtime: ContainerRuntime;
  /** The same engine with another instance's eyes. */
  stranger: ContainerRuntime;
  /** A program that listens on `containerPort`, runs until told, and ends with 0 on the polite signal. */
  image: string;
  containerPort: number;
  /** Resolves when the program listens, and so handles signals. */
  untilServing(taskId: string): Promise<void>;
  /** Makes the serving program end by itself. */
  exit(taskId: string, code: number): Promise<void>;
  /** Makes the serving program write a line. */
  print(taskId: string, stream: LogLine['stream'], text: string): Promise<void>;
  /** Makes the serving program take memory until it is killed for it. */
  exhaustMemory(taskId: string): Promise<void>;
  /** Removes the container as an operator would. */
  vanish(taskId: string): Promise<void>;
  /**
   * A new image, with several layers, in a registry that is slow, or falls silent half-way and goes on when told.
   * @returns its name
   */
  publish(how: { silent: boolean }): Promise<{ image: string; speak(): void }>;
  /** When nothing was told for so long, then that registry is silent. */
  stillMs: number;
  /** Images that cannot be had: the registry has none of the name, is out of order, or is not there. */
  missing: string;
  refused: string;
  unreachable: string;
}
