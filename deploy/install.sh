#!/usr/bin/env bash
# Put wmh-node on a Debian host: user, folders, program, settings, units. Run it again to upgrade or to repair.
# Settings and data that are there stay as they are.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root='' wheel='' wheelhouse='' extras='' python=python3 program=yes start=yes remove=no

usage() {
  cat <<'USAGE'
usage: install.sh [OPTION...]
  --wheel FILE        the program as a wheel; without it, the source tree around this script is built
  --wheelhouse DIR    take every package from DIR and ask no registry (a host without the internet)
  --extras NAMES      extras of the package, comma-separated: s3, gpu, train, jax
  --python PROGRAM    Python 3.11 or 3.12 (default: python3)
  --root DIR          install into the system in DIR (a chroot, an image) and start nothing
  --files-only        everything but the program
  --no-start          start nothing
  --remove            stop the node, remove program and units; settings, data and user stay
USAGE
}

fail() { echo "install.sh: $*" >&2; exit 1; }

while [ $# -gt 0 ]; do
  case $1 in
    --wheel) wheel=${2:?--wheel needs a file}; shift ;;
    --wheelhouse) wheelhouse=${2:?--wheelhouse needs a folder}; shift ;;
    --extras) extras=${2:?--extras needs names}; shift ;;
    --python) python=${2:?--python needs a program}; shift ;;
    --root) root=${2:?--root needs a folder}; shift ;;
    --files-only) program=no ;;
    --no-start) start=no ;;
    --remove) remove=yes ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done

[ "$(id -u)" = 0 ] || fail "run it as root: sudo $0"
if [ -n "$root" ]; then
  [ -d "$root" ] || fail "there is no folder $root"
  root=$(cd "$root" && pwd)
  start=no
fi
[ -d /run/systemd/system ] || start=no
units=$root/etc/systemd/system

inside() { if [ -n "$root" ]; then chroot "$root" "$@"; else "$@"; fi; }
systemctl_here() { if [ -n "$root" ]; then systemctl --root="$root" "$@"; else systemctl "$@"; fi; }

remove_node() {
  [ "$start" = no ] || systemctl stop wmh-node.target 'wmh-node-*.service' 2>/dev/null || true
  systemctl_here --quiet disable wmh-node.target wmh-node-{receive,work,deliver,web}.service 2>/dev/null || true
  rm -rf "$root/opt/wmh-node" "$root/usr/local/bin/wmh-node"
  rm -f "$units"/wmh-node-{receive,work,deliver,web}.service "$units/wmh-node.target"
  rm -f "$root/usr/lib/sysusers.d/wmh-node.conf" "$root/usr/lib/tmpfiles.d/wmh-node.conf"
  [ "$start" = no ] || systemctl daemon-reload
  echo "removed; settings in /etc/wmh-node, data in /var/lib/wmh-node and the user wmh-node are still there"
}

install_user_and_folders() {
  install -D -m 0644 "$here/systemd/wmh-node.sysusers.conf" "$root/usr/lib/sysusers.d/wmh-node.conf"
  install -D -m 0644 "$here/systemd/wmh-node.tmpfiles.conf" "$root/usr/lib/tmpfiles.d/wmh-node.conf"
  systemd-sysusers ${root:+--root="$root"} wmh-node.conf
  systemd-tmpfiles ${root:+--root="$root"} --create wmh-node.conf
}

install_program() {
  inside "$python" -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null ||
    fail "expected Python 3.11 or 3.12 with venv as $python: apt-get install python3 python3-venv, or name it with --python"
  [ -x "$root/opt/wmh-node/bin/python" ] || inside "$python" -m venv /opt/wmh-node ||
    fail "cannot make a virtual environment: apt-get install python3-venv"
  local source what options=(--quiet --disable-pip-version-check --upgrade --no-cache-dir)
  source=$(mktemp -d "$root/var/tmp/wmh-node-install.XXXXXX")
  # shellcheck disable=SC2064  # the folder of now
  trap "rm -rf '$source'" EXIT
  if [ -n "$wheel" ]; then
    cp "$wheel" "$source/"
    what=$source/$(basename "$wheel")
  else
    [ -f "$here/../pyproject.toml" ] || fail "no source tree around this script: name a wheel with --wheel"
    mkdir "$source/tree"
    tar -C "$here/.." --exclude='./.*' --exclude=./tests --exclude='*.egg-info' -cf - . | tar -C "$source/tree" -xf -
    what=$source/tree
  fi
  if [ -f "$here/../constraints.txt" ]; then
    cp "$here/../constraints.txt" "$source/"
    options+=(--constraint "${source#"$root"}/constraints.txt")
  fi
  if [ -n "$wheelhouse" ]; then
    mkdir "$source/wheelhouse"
    cp "$wheelhouse"/*.whl "$source/wheelhouse/"
    options+=(--no-index --find-links "${source#"$root"}/wheelhouse")
  fi
  inside /opt/wmh-node/bin/python -m pip install "${options[@]}" "${what#"$root"}${extras:+[$extras]}"
  ln -sfn /opt/wmh-node/bin/wmh-node "$root/usr/local/bin/wmh-node"
  inside /opt/wmh-node/bin/wmh-node --version
}

install_settings_and_units() {
  install -m 0640 "$here/wmh-node.toml" "$root/etc/wmh-node/wmh-node.toml.example"
  [ -e "$root/etc/wmh-node/wmh-node.toml" ] ||
    install -m 0640 "$here/wmh-node.toml" "$root/etc/wmh-node/wmh-node.toml"
  # By number: the group is one of the system in --root.
  chgrp "$(awk -F: '$1 == "wmh-node" { print $3 }' "$root/etc/group")" "$root"/etc/wmh-node/wmh-node.toml{,.example}
  install -d "$units"
  install -m 0644 "$here"/systemd/wmh-node-*.service "$here/systemd/wmh-node.target" "$units/"
}

upgrade_database() {
  # As the node's user: root would leave an SQLite file that the node cannot write.
  inside runuser -u wmh-node -- env WMH_NODE_CONFIG=/etc/wmh-node/wmh-node.toml /opt/wmh-node/bin/wmh-node db upgrade
}

enable_roles() {
  local role roles=()
  for role in receive work deliver web; do
    if [ "$program" = no ] || inside /opt/wmh-node/bin/wmh-node "$role" --help >/dev/null 2>&1; then
      roles+=("wmh-node-$role.service")
    fi
  done
  systemctl_here --quiet enable wmh-node.target "${roles[@]}"
}

if [ "$remove" = yes ]; then remove_node; exit 0; fi

install_user_and_folders
if [ "$program" = yes ]; then
  if [ "$start" = yes ]; then systemctl stop wmh-node.target 'wmh-node-*.service' 2>/dev/null || true; fi
  install_program
fi
install_settings_and_units
if [ "$program" = yes ]; then upgrade_database; fi
enable_roles
if [ "$start" = yes ]; then
  systemctl daemon-reload
  systemctl start wmh-node.target
fi
echo "installed. Next: wmh-node setup --out /etc/wmh-node/wmh-node.toml (or edit that file), then
  WMH_NODE_CONFIG=/etc/wmh-node/wmh-node.toml wmh-node config check
  systemctl restart wmh-node.target"
