/**
 * The kernel modules of the image by name, with why. What they depend on comes with them, by the
 * kernel's own `modules.dep`; a name that the kernel does not have fails the build. What is not
 * here can't be reached by anything that runs on a node: no other file systems, no AF_ALG, no
 * sound, no Bluetooth, no USB beside what a rack needs.
 */

type ModuleGroup = { readonly why: string; readonly names: readonly string[] };

/** Loaded by PID 1 of the first stage, in this order, before there is a program to load others. */
export const BOOT_MODULES: readonly string[] = ['crc32c_generic', 'libcrc32c', 'erofs'];

/**
 * Drivers of cards that are plugged in before the machine starts: the first stage loads those of
 * all that are there, they stay, and the second stage would only hold 5 MB of them in memory.
 */
export const CARD_MODULES: readonly ModuleGroup[] = [
  { why: 'Intel cards', names: words('e1000 e1000e igb igc ixgbe ixgbevf i40e iavf ice') },
  { why: 'Broadcom cards', names: words('tg3 bnx2 bnx2x bnxt_en') },
  { why: 'NVIDIA cards', names: words('mlx4_en mlx5_core') },
  { why: 'Realtek cards and their PHY', names: words('r8169 realtek 8139cp') },
  { why: 'cards of other vendors', names: words('atlantic be2net cxgb4 enic ionic qede sfc') },
  { why: 'cards of AMD boards', names: words('amd_xgbe pcnet32') },
  { why: 'PHYs of cards above', names: words('broadcom marvell') },
];

/** Enough to reach the network, to filter it, and to read media; in both stages. */
export const FIRST_MODULES: readonly ModuleGroup[] = [
  { why: 'cards of virtual machines', names: words('virtio_net vmxnet3 hv_netvsc ena gve') },
  { why: 'the host firewall', names: words('nf_tables nft_ct nft_reject_inet nft_limit nft_log') },
  {
    why: 'sticks and discs that carry the farm file; the lowest release is kept on a disk',
    names: words('nvme ahci ata_piix sd_mod sr_mod virtio_blk virtio_scsi usb_storage uas'),
  },
  { why: 'what sticks are plugged into', names: words('xhci_pci ehci_pci ohci_pci uhci_hcd') },
  { why: 'VLANs and bundles of cards, where a farmer signed so', names: words('8021q bonding') },
  { why: 'standby pairs of virtual cards', names: words('failover net_failover') },
];

/** What the agent, its disks, networks and containers need on top. */
export const SECOND_MODULES: readonly ModuleGroup[] = [
  { why: 'virtual controllers', names: words('vmw_pvscsi hv_storvsc') },
  { why: 'RAID and SAS controllers', names: words('megaraid_sas mpt3sas mpi3mr smartpqi hpsa') },
  {
    why: 'older RAID and SAS controllers',
    names: words('aacraid arcmsr isci mptsas mvsas pm80xx'),
  },
  { why: 'the data disk; images of containers', names: words('ext4 erofs overlay loop') },
  { why: 'file systems that tenants may ask for', names: words('xfs btrfs') },
  { why: 'encryption and checks of disks', names: words('dm_mod dm_crypt dm_verity xts') },
  { why: 'fast arithmetic for them', names: words('aesni_intel ghash_clmulni_intel crc32c_intel') },
  { why: 'fast hashes for them', names: words('sha256_ssse3 sha512_ssse3') },
  { why: 'the tunnel of tenant networks', names: words('wireguard') },
  { why: 'links of tenant networks', names: words('veth bridge br_netfilter tun dummy vxlan') },
  { why: 'rules of tenant networks', names: words('nft_nat nft_masq nft_redir nft_chain_nat') },
  { why: 'matches of those rules', names: words('nft_fib_inet nft_hash nft_numgen nft_quota') },
  {
    why: 'rules on bridges',
    names: words('nft_meta_bridge nft_reject_bridge nf_conntrack_bridge'),
  },
  { why: 'fair shares of the wire', names: words('sch_fq sch_htb sch_tbf sch_ingress tcp_bbr') },
  {
    why: 'filters for those shares',
    names: words('cls_flower cls_matchall act_police act_mirred'),
  },
  { why: 'watchdogs', names: words('i6300esb iTCO_wdt sp5100_tco hpwdt softdog') },
  { why: 'board management: power, sensors', names: words('ipmi_si ipmi_devintf') },
  { why: 'temperatures', names: words('coretemp k10temp') },
  { why: 'memory errors', names: words('amd64_edac sb_edac skx_edac i10nm_edac') },
  { why: 'chance and memory of virtual machines', names: words('virtio_rng virtio_balloon') },
  { why: 'time of virtual machines', names: words('ptp_kvm hv_utils') },
  { why: 'firmware variables and crash records', names: words('efivarfs efi_pstore') },
];

type Firmware = {
  readonly why: string;
  readonly package: string;
  readonly names: readonly string[];
};

/**
 * What cards of the first stage can't start without, or lose speed without. In both stages: a
 * driver asks again when its link comes up anew.
 */
export const FIRMWARE: readonly Firmware[] = [
  {
    why: 'bnx2 does not start without',
    package: 'firmware-bnx2',
    names: [
      ...words('bnx2/bnx2-mips-06-6.2.3.fw bnx2/bnx2-mips-09-6.2.1b.fw'),
      ...words('bnx2/bnx2-rv2p-06-6.0.15.fw bnx2/bnx2-rv2p-09-6.0.17.fw'),
      'bnx2/bnx2-rv2p-09ax-6.0.17.fw',
    ],
  },
  {
    why: 'bnx2x does not start without',
    package: 'firmware-bnx2x',
    names: [
      ...words('bnx2x/bnx2x-e1-7.13.21.0.fw bnx2x/bnx2x-e1h-7.13.21.0.fw'),
      'bnx2x/bnx2x-e2-7.13.21.0.fw',
    ],
  },
  {
    why: 'some cards of tg3 do not start without',
    package: 'firmware-misc-nonfree',
    names: words('tigon/tg3.bin tigon/tg357766.bin tigon/tg3_tso.bin tigon/tg3_tso5.bin'),
  },
  {
    why: 'qede does not start without',
    package: 'firmware-qlogic',
    names: ['qed/qed_init_values_zipped-8.59.1.0.bin'],
  },
  {
    why: 'ice has one queue only without',
    package: 'firmware-intel-misc',
    names: ['intel/ice/ddp/ice.pkg'],
  },
  {
    why: 'r8169 loses its link with some cards without',
    package: 'firmware-realtek',
    names: [
      ...words('rtl_nic/rtl8105e-1.fw rtl_nic/rtl8106e-1.fw rtl_nic/rtl8106e-2.fw'),
      ...words('rtl_nic/rtl8107e-2.fw rtl_nic/rtl8125a-3.fw rtl_nic/rtl8125b-2.fw'),
      ...words('rtl_nic/rtl8125d-1.fw rtl_nic/rtl8126a-2.fw rtl_nic/rtl8126a-3.fw'),
      ...words('rtl_nic/rtl8168d-1.fw rtl_nic/rtl8168d-2.fw rtl_nic/rtl8168e-1.fw'),
      ...words('rtl_nic/rtl8168e-2.fw rtl_nic/rtl8168e-3.fw rtl_nic/rtl8168f-1.fw'),
      ...words('rtl_nic/rtl8168f-2.fw rtl_nic/rtl8168fp-3.fw rtl_nic/rtl8168g-2.fw'),
      ...words('rtl_nic/rtl8168g-3.fw rtl_nic/rtl8168h-2.fw rtl_nic/rtl8402-1.fw'),
      ...words('rtl_nic/rtl8411-1.fw rtl_nic/rtl8411-2.fw'),
    ],
  },
];

/** Firmware that drivers of the image ask for and do without, or whose drivers are left out. */
export const FIRMWARE_LEFT_OUT: Readonly<Record<string, string>> = {
  cxgb4: 'the cards run what is in their flash',
  isci: "the parameters are in the board's option ROM",
  nfp: '140 MB of firmware: the driver is left out as well',
  microcode: "processors are updated by the board's firmware",
};

function words(text: string): readonly string[] {
  return text.split(' ');
}
