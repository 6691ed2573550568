# How the cluster's programs are compiled. This file is part of the cache key: a change here compiles again.
# Without DWARF, which -s -w drops anyway, the compiler is quicker and its cache much smaller.
# shellcheck shell=bash disable=SC2034

go_minimum=1.26.6
go_flags="-gcflags=all=-dwarf=false -trimpath -buildvcs=false -modcacherw"
go_strip="-s -w"
containerd_tags=no_zfs,no_btrfs,no_devmapper,urfave_cli_no_docs
runc_tags=seccomp,urfave_cli_no_docs
pause_flags="-Os -s -static"
