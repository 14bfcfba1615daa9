# Sourced by the scripts that need a lab: installs what is missing, becomes root, finds the Python package.
# Expects $here, the folder of the script.

if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "$0: namespaces need root; run it as root" >&2; exit 1; }
    # PATH stays, since Swift is seldom where root looks for it.
    exec sudo -E env "PATH=$PATH" "$0" "$@"
fi
"$here/install"
export PYTHONPATH="$here" PYTHONDONTWRITEBYTECODE=1
