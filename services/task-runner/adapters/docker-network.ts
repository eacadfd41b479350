import type Docker from 'dockerode';
import { bridgeName, type BridgeKind } from '../../../shared/contracts/task-bridges';
import { startFailed } from '../domain/errors';
import type { Network } from '../domain/service-type';
import { ask, refusedStart, START_MS, statusOf } from './docker-ask';
import { LABEL } from './docker-container';

/**
 * The bridges on which tasks run, one for each kind, made when the first task needs it. On all of them containers do not
 * reach each other.
 *
 * - `closed`, for tasks without network: the default route leads to an address that nobody has, so no packet leaves the
 *   bridge; answers reach the bridge's own address, from which Docker's proxy serves ports that are bound to loopback.
 * - `answers`, for the same while ports are bound to another address: answers must find their way to browsers elsewhere,
 *   so there is a route, but no masquerading: what begins inside gets no answer unless somebody routes the bridge's addresses.
 * - `internet`: an ordinary bridge; reaches what the host reaches, and the host.
 *
 * What Docker's API cannot close is the host's own address on the bridge: the host's firewall does, by the bridges' names
 * (README.md, Network).
 */
export class DockerNetworks {
  private readonly ready = new Map<BridgeKind, Promise<string>>();

  constructor(
    private readonly docker: Docker,
    private readonly options: { instance: string; bindAddress: string },
  ) {}

  /** Name of the network; it exists. */
  ensure(network: Network): Promise<string> {
    const kind = network === 'internet' ? network : this.options.bindAddress.startsWith('127.') ? 'closed' : 'answers';
    let ready = this.ready.get(kind);
    if (ready === undefined) {
      ready = this.create(kind);
      this.ready.set(kind, ready);
      ready.catch(() => this.ready.delete(kind));
    }
    return ready;
  }

  /** Somebody may have removed them; the next start makes them anew. */
  forget(): void {
    this.ready.clear();
  }

  private async create(kind: BridgeKind): Promise<string> {
    const name = `resource-manager-${this.options.instance}-${kind}`;
    const options = {
      'com.docker.network.bridge.name': bridgeName(this.options.instance, kind),
      'com.docker.network.bridge.enable_icc': 'false',
      'com.docker.network.bridge.enable_ip_masquerade': String(kind === 'internet'),
    };
    for (let attempt = 0; ; attempt += 1) {
      try {
        await ask(START_MS, async (abortSignal) =>
          this.docker.createNetwork({
            Name: name,
            CheckDuplicate: true,
            Driver: 'bridge',
            Options: options,
            Labels: { [LABEL.instance]: this.options.instance },
            ...(kind === 'closed' ? { IPAM: { Driver: 'default', Config: [deadEnd(await this.freeSubnet())] } } : {}),
            abortSignal,
          }),
        );
        return name;
      } catch (error) {
        if (statusOf(error) === 409) return this.checked(name, options); // it is there
        // somebody else took the addresses meanwhile
        if (statusOf(error) !== 403 || attempt === 5) throw refusedStart(error);
      }
    }
  }

  /** A network of that name with other options would not fence anything in. */
  private async checked(name: string, options: Record<string, string>): Promise<string> {
    const found = await ask(START_MS, () => this.docker.getNetwork(name).inspect());
    const given: Record<string, string> = found.Options ?? {};
    if (Object.entries(options).every(([key, value]) => given[key] === value)) return name;
    throw startFailed('The network for tasks is not as it must be; an operator removes it.', `network ${name}`);
  }

  /** Addresses that the engine would give to a network now, from the pools that its operator has configured. */
  private async freeSubnet(): Promise<string> {
    const made = await ask(START_MS, (abortSignal) =>
      this.docker.createNetwork({
        Name: `resource-manager-${this.options.instance}-probe-${process.pid}`,
        Driver: 'bridge',
        Labels: { [LABEL.instance]: this.options.instance },
        abortSignal,
      }),
    );
    const found = await ask(START_MS, () => made.inspect());
    await ask(START_MS, (abortSignal) => made.remove({ abortSignal }));
    const subnet = found.IPAM?.Config?.[0]?.Subnet;
    if (subnet === undefined) throw startFailed('The container runtime gives no addresses for a network.');
    return subnet;
  }
}

/** The subnet with its first address for the bridge, and its last one, which nobody ever gets, as the default route. */
function deadEnd(subnet: string) {
  const [address = '', length = ''] = subnet.split('/');
  const first = address.split('.').reduce((number, part) => number * 256 + Number(part), 0);
  const last = first + 2 ** (32 - Number(length)) - 2;
  return { Subnet: subnet, Gateway: dotted(first + 1), AuxiliaryAddresses: { DefaultGatewayIPv4: dotted(last) } };
}

function dotted(number: number): string {
  return [24, 16, 8, 0].map((bits) => Math.floor(number / 2 ** bits) % 256).join('.');
}
