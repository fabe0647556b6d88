#!/bin/sh
# Makes /gpu: sysfs of a machine with one GPU, in several conditions, and its devices.
set -eu
address=0000:c3:00.0
tree() { # name, memory kept by the firmware, memory that may be taken, pages that may be taken: in bytes, bytes, pages
    pci=/gpu/$1/bus/pci/devices/$address
    node=/gpu/$1/class/kfd/kfd/topology/nodes
    mkdir -p "$pci/drm/renderD128" "$node/0" "$node/1" "/gpu/$1/class/drm/card1" "/gpu/$1/module/ttm/parameters"
    echo 0x1002 >"$pci/vendor"
    echo 0x1586 >"$pci/device"
    echo 0x030000 >"$pci/class"
    printf 'DRIVER=amdgpu\nPCI_SLOT_NAME=%s\n' $address >"$pci/uevent"
    echo "$2" >"$pci/mem_info_vram_total"
    echo "$3" >"$pci/mem_info_gtt_total"
    echo "$4" >"/gpu/$1/module/ttm/parameters/pages_limit"
    ln -sfn "$pci" "/gpu/$1/class/drm/card1/device"
    cp /gpu/kfd-processor.txt "$node/0/properties"
    cp /gpu/kfd-gfx1151.txt "$node/1/properties"
}
tree right 536870912 1073741824 262144
tree gttsize 536870912 2147483648 262144
tree carved 68719476736 1073741824 262144
tree undriven 0 0 0
# nomodeset
rm -r /gpu/undriven/class /gpu/undriven/module
printf 'PCI_SLOT_NAME=%s\n' $address >/gpu/undriven/bus/pci/devices/$address/uevent
rm /gpu/undriven/bus/pci/devices/$address/mem_info_*
mkdir -p /gpu/bare
mkdir -p /gpu/dev/dri
touch /gpu/dev/kfd /gpu/dev/dri/renderD128 /gpu/dev/dri/card1
