#!/usr/bin/env bash
# Make repository.tar.xz: a small repository of a real DVC (3.67.1), its history and a remote.
# It is made by hand, with dvc on the PATH: tests/workspace/from_dvc/make_repository.sh
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
export DVC_NO_ANALYTICS=1 GIT_AUTHOR_NAME=maker GIT_AUTHOR_EMAIL=maker@example.com
export GIT_COMMITTER_NAME=maker GIT_COMMITTER_EMAIL=maker@example.com
export GIT_AUTHOR_DATE=2026-01-02T03:04:05Z GIT_COMMITTER_DATE=2026-01-02T03:04:05Z
mkdir "$place/repository"
cd "$place/repository"
git init -q -b main
dvc init -q
dvc remote add -q -d store ../remote
printf 'day,late\n1,0.5\n2,1.5\n' > rows.csv
mkdir -p images/deep
printf 'one' > images/a.txt
printf 'two' > images/deep/b.txt
cp images/a.txt images/copy.txt
dvc add -q rows.csv images
git add -A
git commit -qm "The first rows"
dvc push -q
printf 'day,late\n1,0.5\n2,1.5\n3,2.5\n' > rows.csv
dvc add -q rows.csv
cat > dvc.yaml <<'STAGES'
stages:
  days:
    cmd: mkdir -p out && cut -d, -f1 rows.csv > out/days.txt
    deps: [rows.csv]
    outs: [out]
STAGES
dvc repro -q
git add -A
GIT_COMMITTER_DATE=2026-01-03T03:04:05Z git commit -qm "A third row, and the days of all"
dvc push -q
rm -rf .git/hooks .git/logs .dvc/tmp .dvc/cache/runs rows.csv images out
tar -C "$place" --sort=name --owner=0 --group=0 --mtime=2026-01-03 -cJf "$here/repository.tar.xz" repository remote
