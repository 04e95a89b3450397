"""Ways round a push gate, each tried with a real push.

| way | shown by |
|---|---|
| poison on another ref than the first | test_hook.test_every_ref_line_is_read |
| in the middle of the history, gone at its end | test_hook.test_added_and_removed_in_the_same_push |
| far behind the tip (gates that look at the last 50 commits) | test_beyond_any_cap_of_commits |
| a new branch at an old commit, nothing new in the push | test_hook.test_a_reference_to_what_was_there_before_the_gate |
| a commit that lies on the server, named by nothing | test_a_dangling_commit_of_the_server |
| a commit in an alternate (pools of forks) | test_a_commit_that_only_an_alternate_has |
| force push | test_force_push |
| a merge with a file that neither parent has | test_a_merge_with_more_than_its_parents |
| deletions in between | test_a_deletion_beside_it |
| 2,000 refs | test_hook.test_two_thousand_refs |
| a tag to a blob, to a tree, to a tag | test_hook.test_a_tag_straight_to_a_blob, test_hook.test_a_tag_straight_to_a_tree, test_a_tag_of_a_tag_of_a_blob |
| refs outside of heads and tags, notes | test_refs_of_any_name, test_hook.test_notes_and_other_refs |
| objects in the pack that nothing names | test_hook.test_unreachable_objects_stuffed_into_the_pack |
| the commit behind a submodule's entry, in the pack | test_the_commit_behind_a_submodule |
| a copy, a rename, a change of mode | test_hook_objects.test_a_copy_of_old_bytes_to_a_new_path_is_judged_there, test_renamed_and_made_executable |
| symbolic links | test_hook_objects.test_links, test_bytes_of_a_link |
| thin packs, loose objects, any compression | test_thin_packs, test_however_objects_are_stored |
| shallow and partial clients | test_shallow_and_partial_clones |
| push options, words in the commit message | test_options_and_messages_decide_nothing |
| a pointer without its object, --no-verify | test_hook_objects.test_a_pointer_without_its_object_says_what_to_do, test_no_verify_leaves_the_object_behind |
| other bytes under an oid, other layouts | test_hook.test_lfs_pointers |
| LFS given up for a file | test_a_file_that_was_in_lfs, test_hook_lfs_change.test_a_model_that_leaves_lfs_is_told |
| LFS bytes of another repository, or that change after the scan | test_hook_servers.test_soft_serve_reads_no_other_repositorys_object, test_hook_lfs.test_a_verdict_of_the_same_hash_spares_the_bytes_only_if_it_may |
| more pointers than one question of the LFS API takes | test_more_pointers_than_one_question_takes |
| LFS bytes that come after the push was accepted | test_hook_lfs_late.test_a_second_push_of_objects_finds_nothing_accepted_without_its_bytes, test_hook_lfs_late.test_what_comes_late_is_judged_and_no_new_branch_is_free, test_hook_daemon_more.test_what_comes_late_is_kept_by_the_daemon |
| a push that outlasts the server's patience | test_hook_ghes.test_its_own_deadline_comes_before_the_servers, test_hook_daemon.test_at_the_deadline_the_scan_goes_on, test_hook_objects.test_a_scan_that_takes_too_long_refuses |
| a hook that is killed, or runs out of room | test_hook_faults.test_killed_at_any_moment, test_hook_faults.test_the_disk_is_full, test_hook_faults.test_memory_runs_out, test_hook_failing_disk.test_the_repository_lies_on_it |
| two pushes at once | test_hook_faults.test_two_pushes_into_one_store_at_once |
| all refs at once, all or nothing | test_a_mirror_and_all_or_nothing |
| a history without a beginning in common, more than two parents | test_an_octopus_of_strangers |
| deleted, and made again | test_deleted_and_made_again |
| a wiki | test_a_wiki |
| 100,000 commits, 50,000 refs | test_hook_large.test_a_hundred_thousand_commits_and_fifty_thousand_refs, test_hook_large.test_fifty_thousand_new_refs |
| files that Git configures itself by | test_files_of_git, test_names_that_only_windows_takes_for_them |
| replacement of objects | test_refs_below_replace, test_replacements_on_the_server_are_not_seen |
| repositories with SHA-256 | test_sha256_repositories |
| quarantine variables missing or relative | test_without_quarantine_nothing_passes, test_relative_quarantine |
| alternates with quotes | test_hook_objects.test_alternates_with_a_colon_in_their_name |
| variables that the pusher sends over SSH | test_variables_of_the_pusher |
| the server's own pushes (web editor, merge) | test_pushes_of_the_server_itself |
| laundering over a branch with milder rules, or another pusher | test_hook_policies.test_what_a_feature_branch_may_have_is_judged_again, test_hook_policies.test_pushers |
| many small faults before a grave one | test_hook_policies.test_many_small_faults_of_a_tree_do_not_hide_a_grave_one |
| a push too large to judge | test_hook_objects.test_limits_refuse, test_hook_objects.test_a_bomb_of_trees_is_refused_quickly |

Not the hook's: GIT-004, GIT-005, GIT-014, GIT-017 are of transfers (the proxy's tests), GIT-015 and GIT-016 of names of
repositories (the tree verdict and the policy). Mirrors, imports and `git fetch` run no hook: the self-test lists them as open.
"""
import hashlib
import importlib
import json
import os
import re
import shutil
import subprocess

import pytest

from hub.store import make_pointer
from lfs_server import LfsServer
from servers import ENVIRONMENT, BareRepository, SshServer
from test_hook import CLEAN, POISON, WorkingCopy, assert_refused, server, work  # noqa: F401
from test_hook_objects import commit_of, push_objects, tree_entry, write_object


def test_every_way_of_the_table_has_its_test():
    named = re.findall(r"\b(?:(test_hook\w*)\.)?(test_\w+)", __doc__)
    assert len(named) > 40
    for module, name in named:
        assert hasattr(importlib.import_module(module or __name__), name), (module, name)


def without_hook(server, action):  # noqa: F811
    """Runs `action` as if the gate had not been there yet."""
    hook = server.hook.read_text()
    server.hook.unlink()
    try:
        return action()
    finally:
        server.set_hook(hook.splitlines()[1])


def test_beyond_any_cap_of_commits(server, work):  # noqa: F811
    work.commit({"README.md": b"0\n"})
    guilty = work.commit({"model.pkl": POISON})
    work.commit({"model.pkl": None})
    head = work.git("rev-parse", "HEAD").output.strip()
    tree = work.git("rev-parse", "HEAD^{tree}").output.strip()
    for number in range(120):
        head = work.git("commit-tree", "-p", head, "-m", f"{number}", tree).output.strip()
    work.git("update-ref", "refs/heads/main", head)
    assert_refused(work.push(server), guilty[:12], "model.pkl")


def test_a_dangling_commit_of_the_server(server, work):  # noqa: F811
    work.commit({"README.md": b"one\n"})
    assert work.push(server).ok
    work.commit({"model.pkl": POISON})
    without_hook(server, lambda: work.push(server, "main:old"))
    server.git("update-ref", "-d", "refs/heads/old")
    assert_refused(work.push(server, "main"), "model.pkl", "os.system")
    assert_refused(work.push(server, "main:again"), "model.pkl")


def test_a_commit_that_only_an_alternate_has(server, work, tmp_path):  # noqa: F811
    pool = BareRepository(tmp_path / "pool") if (tmp_path / "pool").mkdir() is None else None
    pool.hook.unlink()
    work.commit({"README.md": b"one\n"})
    assert work.push(server).ok
    work.commit({"model.pkl": POISON})
    assert work.push(pool).ok
    (server.path / "objects/info/alternates").write_text(f"{pool.path}/objects\n")
    assert_refused(work.push(server), "model.pkl", "os.system")
    work.git("checkout", "-q", "HEAD~1")
    head = work.commit({"README.md": b"two\n"})
    assert work.push(server, f"{head}:refs/heads/main").ok


def test_force_push(server, work):  # noqa: F811
    work.commit({"README.md": b"one\n"})
    work.commit({"README.md": b"two\n"})
    assert work.push(server).ok
    before = server.refs()
    work.git("reset", "-q", "--hard", "HEAD~1")
    work.commit({"model.pkl": POISON})
    work.commit({"model.pkl": None})
    assert_refused(work.push(server, "-f", "main"), "model.pkl")
    assert server.refs() == before


def test_a_merge_with_more_than_its_parents(server, work):  # noqa: F811
    work.commit({"README.md": b"one\n"})
    work.git("checkout", "-q", "-b", "side")
    work.commit({"side.md": b"side\n"})
    work.git("checkout", "-q", "main")
    work.commit({"main.md": b"main\n"})
    assert work.push(server, "main", "side").ok
    work.git("merge", "-q", "--no-commit", "--no-ff", "side")
    work.commit({"model.pkl": POISON}, "merge")
    assert len(work.git("rev-list", "--parents", "-n1", "HEAD").output.split()) == 3
    assert_refused(work.push(server), "model.pkl", "os.system")


def test_a_deletion_beside_it(server, work):  # noqa: F811
    work.commit({"README.md": b"one\n"})
    assert work.push(server, "main", "main:other", "main:third").ok
    work.commit({"model.pkl": POISON})
    assert_refused(work.push(server, ":other", "main", ":third"), "model.pkl")
    assert set(server.refs()) == {"refs/heads/main", "refs/heads/other", "refs/heads/third"}


def test_a_tag_of_a_tag_of_a_blob(server, work):  # noqa: F811
    work.commit({"README.md": b"one\n"})
    blob = write_object(work, "blob", POISON)
    work.git("tag", "-a", "-m", "1", "one", blob)
    work.git("tag", "-a", "-m", "2", "two", "one")
    assert_refused(work.push(server, "two"), "refs/tags/two", "os.system")


@pytest.mark.parametrize("ref", ["refs/for/main", "refs/pull/1/head", "refs/stash", "refs/original/refs/heads/main", "refs/x",
                                 "refs/heads/refs/heads/main", "refs/remotes/origin/main", "refs/changes/01/1/1"])
def test_refs_of_any_name(server, work, ref):  # noqa: F811
    work.commit({"model.pkl": POISON})
    run = work.push(server, f"main:{ref}")
    assert not run.ok and server.refs() == {}, run.output
    if ref != "refs/x":  # a name of one level is Git's own to refuse
        assert_refused(run, ref, "os.system")


def test_the_commit_behind_a_submodule(server, work):  # noqa: F811
    """Nothing names it, and the server would keep and serve it all the same."""
    inner_blob = write_object(work, "blob", POISON)
    inner_tree = write_object(work, "tree", tree_entry("100644", b"model.pkl", inner_blob))
    inner = commit_of(work, inner_tree)
    tree = write_object(work, "tree", tree_entry("160000", b"module", inner))
    head = commit_of(work, tree)
    answer = push_objects(work, server, "refs/heads/main", head, [inner_blob, inner_tree, inner, tree, head])
    assert b"os.system" in answer and b"ng refs/heads/main" in answer, answer


@pytest.mark.parametrize("preset, passes", [("guarded", True), ("strict", False)])
def test_what_is_behind_a_submodule_was_not_read(tmp_path, preset, passes):
    server, work = BareRepository(tmp_path, "--policy", preset), WorkingCopy(tmp_path)  # noqa: F811
    head = work.commit({"README.md": b"one\n"})
    assert work.push(server).ok
    work.git("update-index", "--add", "--cacheinfo", f"160000,{head},third_party/module")
    work.git("commit", "-q", "-m", "module")
    run = work.push(server)
    assert run.ok == passes and "git-submodule-entry" in run.output and "third_party/module" in run.output, run.output


def test_renamed_and_made_executable(server, work):  # noqa: F811
    work.commit({"data/old.txt": POISON})
    without_hook(server, lambda: work.push(server))
    work.git("mv", "data/old.txt", "model.pkl")
    work.git("commit", "-q", "-m", "renamed")
    assert_refused(work.push(server), "model.pkl", "os.system")
    work.git("reset", "-q", "--hard", "HEAD~1")
    work.git("update-index", "--chmod=+x", "data/old.txt")
    work.git("commit", "-q", "-m", "mode")
    assert_refused(work.push(server), "data/old.txt", "os.system")


def test_bytes_of_a_link(server, work):  # noqa: F811
    blob = write_object(work, "blob", POISON)
    tree = write_object(work, "tree", tree_entry("120000", b"model.pkl", blob))
    head = commit_of(work, tree)
    answer = push_objects(work, server, "refs/heads/main", head, [blob, tree, head])
    assert b"hubgate: PUSH REFUSED" in answer and b"os.system" in answer, answer


def test_thin_packs(server, work):  # noqa: F811
    """The poison comes as a delta of a file that the server has."""
    filler = hashlib.shake_128(b"filler").digest(60_000)
    work.commit({"model.pkl": filler})
    without_hook(server, lambda: work.push(server))
    server.git("config", "receive.unpackLimit", "1")
    work.commit({"model.pkl": POISON + filler})
    assert_refused(work.push(server, "--thin", "main"), "model.pkl", "os.system")


@pytest.mark.parametrize("limit", ["1", "1000"])
@pytest.mark.parametrize("level", ["0", "1", "9"])
def test_however_objects_are_stored(server, work, limit, level):  # noqa: F811
    server.git("config", "receive.unpackLimit", limit)
    server.git("config", "core.compression", level)
    for name in ("core.compression", "pack.compression"):
        work.git("config", name, level)
    work.commit({"vocabulary.pkl": CLEAN})
    assert work.push(server).ok
    work.commit({"model.pkl": POISON, "copy.pkl": POISON + b"\n" * 5000})
    assert_refused(work.push(server), "model.pkl", "copy.pkl", "os.system")


@pytest.mark.parametrize("options", [("--depth", "1"), ("--filter=blob:none", "--no-checkout"), ("--filter=tree:0", "--no-checkout")])
def test_shallow_and_partial_clones(server, work, tmp_path, options):  # noqa: F811
    server.git("config", "uploadpack.allowFilter", "true")
    work.commit({"README.md": b"one\n", "deep/a.md": b"a\n"})
    work.commit({"README.md": b"two\n"})
    assert work.push(server).ok
    clone = tmp_path / "clone"
    assert work.clients.run("git", "clone", "-q", *options, f"file://{server.path}", clone).ok
    run = work.clients.run("git", "checkout", "-q", "main", cwd=clone)
    assert run.ok, run.output

    def commit(name, data):
        (clone / name).write_bytes(data)
        for arguments in (("add", "-A"), ("commit", "-q", "-m", name)):
            done = work.clients.run("git", *arguments, cwd=clone)
            assert done.ok, done.output
        return work.clients.run("git", "push", "origin", "main", cwd=clone)

    run = commit("vocabulary.pkl", CLEAN)
    assert run.ok, run.output
    assert_refused(commit("model.pkl", POISON), "model.pkl", "os.system")


def test_options_and_messages_decide_nothing(server, work):  # noqa: F811
    work.commit({"model.pkl": POISON}, "[skip secret push protection] [skip ci] [hubgate skip]\n\nHubgate: allow\n")
    for option in ("hubgate.skip", "hubgate.reason=false positive", "secret_push_protection.skip_all", "ci.skip"):
        assert_refused(work.push(server, "-o", option, "main"), "model.pkl")


def test_no_verify_leaves_the_object_behind(server, work):  # noqa: F811
    work.git("lfs", "install", "--local")
    work.git("lfs", "track", "*.pkl")
    work.git("remote", "add", "origin", f"file://{server.path}")
    work.commit({"vocabulary.pkl": CLEAN})
    assert_refused(work.git("push", "--no-verify", "origin", "main", check=False), "vocabulary.pkl", "is not on the server")
    assert server.refs() == {}
    assert work.git("lfs", "push", "origin", "main").ok
    run = work.git("push", "--no-verify", "origin", "main", check=False)
    assert run.ok, run.output


def test_a_file_that_was_in_lfs(server, work):  # noqa: F811
    """The track is taken away and the weights come as plain files, or as pointers that nobody tracks."""
    server.put_lfs(CLEAN)
    server.put_lfs(POISON)
    work.commit({".gitattributes": b"*.pkl filter=lfs diff=lfs merge=lfs -text\n"})
    for file, data in (("model.pkl", CLEAN),):
        pointer = write_object(work, "blob", make_pointer(hashlib.sha256(data).hexdigest(), len(data)))
        work.git("update-index", "--add", "--cacheinfo", f"100644,{pointer},{file}")
    work.git("commit", "-q", "-m", "pointer")
    run = work.push(server)
    assert run.ok, run.output
    work.git("rm", "-q", "--cached", "model.pkl")
    work.commit({".gitattributes": b"# nothing is tracked\n", "model.pkl": POISON})
    assert_refused(work.push(server), "model.pkl", "os.system")
    work.commit({"model.pkl": make_pointer(hashlib.sha256(POISON).hexdigest(), len(POISON))})
    work.git("reset", "-q", "--soft", "HEAD~2")
    work.git("commit", "-q", "-m", "a pointer without a track")
    assert_refused(work.push(server), "model.pkl", "os.system")


MODULES = '[submodule "a"]\n\tpath = {path}\n\turl = {url}\n{more}'
FILES_OF_GIT = {
    "a helper": (".gitmodules", MODULES.format(path="a", url="ext::sh -c x", more=""), "git-submodule-trick"),
    "an option": (".gitmodules", MODULES.format(path="a", url="-u./x", more=""), "git-submodule-trick"),
    "an option in quotes": (".gitmodules", MODULES.format(path="a", url='""-u./x', more=""), "git-submodule-trick"),
    "a file address": (".gitmodules", MODULES.format(path="a", url="file:///srv/git/other", more=""), "git-submodule-trick"),
    "a path into .git": (".gitmodules", MODULES.format(path="a/.git/hooks", url="https://h.invalid/a", more=""), "git-submodule-trick"),
    "a path out": (".gitmodules", MODULES.format(path="../../a", url="https://h.invalid/a", more=""), "git-submodule-trick"),
    "a command": (".gitmodules", MODULES.format(path="a", url="../a", more="\tupdate = !sh x\n"), "git-submodule-trick"),
    "behind a long comment": (".gitmodules", "#" * 200_000 + "\n" + MODULES.format(path="a", url="-u./x", more=""),
                              "git-submodule-trick"),
    "too long to read": (".gitmodules", "#" * 1_100_000 + "\n" + MODULES.format(path="a", url="-u./x", more=""),
                         "git-control-unread"),
    "taken for binary": (".gitmodules", "#\0\n" + MODULES.format(path="a", url="-u./x", more=""), "git-control-unread"),
    "LFS from elsewhere": (".lfsconfig", "[lfs]\n\turl = https://h.invalid/lfs\n", "git-lfs-redirect"),
    "LFS from elsewhere, on one line": (".lfsconfig", "[lfs] url = https://u:p@h.invalid/lfs\n", "git-lfs-redirect"),
    "LFS of a remote from elsewhere": (".lfsconfig", '[remote "origin"]\nlfsurl = https://h.invalid/\n', "git-lfs-redirect"),
    "a filter": (".gitattributes", "*.py filter=evil\n", "git-attributes-filter"),
    "a macro with a filter": ("deep/.gitattributes", "[attr]model filter=evil -text\n*.bin model\n", "git-attributes-filter"),
    "an encoding": (".gitattributes", "*.py working-tree-encoding=UTF-7\n", "git-attributes-filter"),
}
HARMLESS_FILES_OF_GIT = {
    ".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n*.ipynb diff=jupyternotebook merge=union\n# *.py filter=evil\n",
    ".lfsconfig": "[lfs]\n\tfetchexclude = data/**\n\tlocksverify = false\n",
    "docs/settings.ini": "[lfs]\n\turl = https://h.invalid/lfs\n[submodule \"a\"]\n\turl = -u./x\n",
}


@pytest.mark.parametrize("what", FILES_OF_GIT)
def test_files_of_git(tmp_path, what):
    path, text, rule = FILES_OF_GIT[what]
    server, work = BareRepository(tmp_path, "--policy", "strict"), WorkingCopy(tmp_path)  # noqa: F811
    work.commit({"README.md": b"one\n", "a/README.md": b"a\n"})
    assert work.push(server).ok
    work.git("config", "core.attributesFile", "/dev/null")
    # As an attacker's own Git would write it: what it says is not obeyed here.
    blob = write_object(work, "blob", text.encode())
    work.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}")
    work.git("commit", "-q", "-m", what)
    assert_refused(work.push(server), rule, path)


def test_harmless_files_of_git(tmp_path):
    server, work = BareRepository(tmp_path, "--policy", "strict"), WorkingCopy(tmp_path)  # noqa: F811
    work.commit({name: text.encode() for name, text in HARMLESS_FILES_OF_GIT.items()})
    run = work.push(server)
    assert run.ok and "warning" not in run.output, run.output


@pytest.mark.parametrize("name", [b".gitmodules ", b".gitmodules.", b".git\xe2\x80\x8cmodules", b"gitmod~1", b".lfsconfig::$DATA"])
def test_names_that_only_windows_takes_for_them(server, work, name):  # noqa: F811
    blob = write_object(work, "blob", b"x\n")
    tree = write_object(work, "tree", tree_entry("100644", name, blob))
    head = commit_of(work, tree)
    answer = push_objects(work, server, "refs/heads/main", head, [blob, tree, head])
    assert b"git-tree-control-name" in answer and b"ng refs/heads/main" in answer, answer


def test_refs_below_replace(server, work):  # noqa: F811
    work.commit({"model.pkl": CLEAN})
    assert work.push(server).ok
    old = work.git("rev-parse", "HEAD:model.pkl").output.strip()
    new = write_object(work, "blob", b"harmless, and not what was approved\n")
    assert_refused(work.push(server, f"{new}:refs/replace/{old}"), "git-ref-replace", f"refs/replace/{old}")
    assert list(server.refs()) == ["refs/heads/main"]


@pytest.mark.parametrize("big", [False, True])
def test_replacements_on_the_server_are_not_seen(tmp_path, big):
    server = BareRepository(tmp_path, config="hook:\n  big_blob: 100\n" if big else "")
    work = WorkingCopy(tmp_path)  # noqa: F811
    poison = POISON + b"\n" * 500
    work.commit({"model.pkl": poison})
    clean = subprocess.run(["git", "-C", str(server.path), "hash-object", "-w", "--stdin"], input=b"clean\n", capture_output=True,
                           check=True).stdout.decode().strip()
    server.git("update-ref", f"refs/replace/{work.git('rev-parse', 'HEAD:model.pkl').output.strip()}", clean)
    assert_refused(work.push(server), "model.pkl", "os.system")


def test_sha256_repositories(tmp_path):
    server, work = BareRepository(tmp_path), WorkingCopy(tmp_path)  # noqa: F811
    line = server.hook.read_text().splitlines()[1]
    shutil.rmtree(server.path)
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", "--object-format=sha256", str(server.path)], check=True, env=ENVIRONMENT)
    server.set_hook(line)
    shutil.rmtree(work.path / ".git")
    work.git("init", "-q", "-b", "main", "--object-format=sha256")
    work.commit({"README.md": b"one\n"})
    run = work.push(server)
    assert run.ok, run.output
    work.commit({"model.pkl": POISON})
    assert_refused(work.push(server), "model.pkl", "os.system")


def test_without_quarantine_nothing_passes(server, work):  # noqa: F811
    line = server.hook.read_text().splitlines()[1]
    work.commit({"README.md": b"one\n"})
    server.set_hook("unset GIT_OBJECT_DIRECTORY GIT_QUARANTINE_PATH\n" + line)
    assert_refused(work.push(server), "quarantine")
    assert server.refs() == {}


def test_relative_quarantine(server, work):  # noqa: F811
    line = server.hook.read_text().splitlines()[1]
    server.set_hook('GIT_OBJECT_DIRECTORY="./objects/${GIT_OBJECT_DIRECTORY##*/}"\nGIT_QUARANTINE_PATH=$GIT_OBJECT_DIRECTORY\n'
                    "GIT_ALTERNATE_OBJECT_DIRECTORIES=./objects\n"
                    "export GIT_OBJECT_DIRECTORY GIT_QUARANTINE_PATH GIT_ALTERNATE_OBJECT_DIRECTORIES\n" + line)
    work.commit({"README.md": b"one\n"})
    run = work.push(server)
    assert run.ok, run.output
    work.commit({"model.pkl": POISON})
    assert_refused(work.push(server), "model.pkl")


@pytest.fixture(scope="module")
def open_ssh(tmp_path_factory):
    """A server whose administrator accepts every variable."""
    ssh = SshServer(tmp_path_factory.mktemp("ssh") / "ssh", options="AcceptEnv *\n")
    yield ssh
    ssh.stop()


@pytest.mark.parametrize("variables", [
    {"GIT_QUARANTINE_PATH": "/tmp"}, {"GIT_ALTERNATE_OBJECT_DIRECTORIES": '"/broken'}, {"GIT_NAMESPACE": "elsewhere"},
    {"GIT_REPLACE_REF_BASE": "refs/heads/"}, {"GIT_OBJECT_DIRECTORY": "/tmp"}, {"GIT_DIR": "/nonexistent"}, {"GIT_GRAFT_FILE": "/etc/passwd"},
    {"GIT_SHALLOW_FILE": "/etc/passwd"}, {"GL_USER": "admin", "GL_REPO": "lab/free"}, {"REMOTE_USER": "admin"},
    {"GIT_PUSH_OPTION_COUNT": "99999999999", "GIT_PUSH_OPTION_0": "hubgate.skip"}, {"HUBGATE_DATA": "/tmp/nowhere"},
    {"GITEA_INTERNAL_PUSH": "true"}, {"PATH": "/nonexistent"}, {"LANG": "x" * 10_000}, {"TMPDIR": "/nonexistent"},
])
def test_variables_of_the_pusher(tmp_path, open_ssh, variables):
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\nrules:\n"
                      "  - {id: admin, match: {user: admin}, action: annotate, override: malicious}\n"
                      "  - {id: lab, match: {repo: 'lab/*'}, action: annotate, override: malicious}\n"
                      "  - {id: malicious, match: {severity: malicious}, action: block}\n  - {id: rest, action: allow}\n")
    server = BareRepository(tmp_path, "--policy", str(policy), "--server", "bare")
    work = WorkingCopy(tmp_path)  # noqa: F811
    work.commit({"model.pkl": POISON})
    command = open_ssh.command + "".join(f" -o SetEnv='{' '.join(f'{k}={v}' for k, v in variables.items())}'" for _ in (0,))
    run = work.push(server, url=open_ssh.url(server), GIT_SSH_COMMAND=command)
    assert not run.ok and server.refs() == {}, run.output
    assert "Permission denied" not in run.output, run.output


@pytest.mark.parametrize("variables", ["GITEA_INTERNAL_PUSH=true SSH_ORIGINAL_COMMAND=gitea-internal GITEA_PR_ID=7",
                                       "GITHUB_VIA='pull request merge button' GITHUB_REPO_NAME=o/r GITHUB_USER_LOGIN=web-flow",
                                       "GL_PROTOCOL=web GL_PROJECT_PATH=g/p GL_ID=user-1 GL_USERNAME=root"])
def test_pushes_of_the_server_itself(server, work, variables):  # noqa: F811
    line = server.hook.read_text().splitlines()[1].removeprefix("exec ")
    server.set_hook(f"{variables} {line}")
    work.commit({"model.pkl": POISON})
    assert_refused(work.push(server), "model.pkl", "os.system")


def test_more_pointers_than_one_question_takes(tmp_path):
    """Servers answer 100 objects at once; the last of many counts like the first."""
    lfs = LfsServer(str(tmp_path / "objects"))
    server = BareRepository(tmp_path, config=f"lfs:\n  sources:\n    - batch: \"{lfs.url}/{{repo}}.git/info/lfs\"\n")
    work = WorkingCopy(tmp_path)  # noqa: F811
    try:
        files = {}
        for number in range(230):
            data = b"text %d\n" % number if number != 229 else POISON
            files[f"{number:03}.pkl"] = make_pointer(lfs.put("repo", data), len(data))
        work.commit(files)
        assert_refused(work.push(server), "229.pkl", "os.system")
        asked = [len(json.loads(request.body)["objects"]) for request in lfs.seen if request.path.endswith("/objects/batch")]
        assert sum(asked) == 230 and max(asked) <= 100, asked
    finally:
        lfs.stop()


def test_a_mirror_and_all_or_nothing(server, work):  # noqa: F811
    head = work.commit({"README.md": b"one\n"})
    assert work.push(server).ok
    work.git("checkout", "-q", "--orphan", "side")
    work.commit({"model.pkl": POISON})
    work.git("update-ref", "refs/keep/one", "HEAD")
    work.git("update-ref", "-d", "refs/heads/side")
    work.git("checkout", "-q", "--detach", head)
    for options in (("--mirror",), ("--atomic", "main:refs/heads/new", "refs/keep/one:refs/keep/one"), ("--mirror", "--force")):
        assert_refused(work.git("push", *options[:1], str(server.path), *options[1:], check=False), "refs/keep/one", "model.pkl")
        assert server.refs() == {"refs/heads/main": head}


def test_an_octopus_of_strangers(server, work):  # noqa: F811
    work.commit({"README.md": b"one\n"})
    assert work.push(server).ok
    blob = write_object(work, "blob", POISON)
    strangers = [commit_of(work, write_object(work, "tree", tree_entry("100644", b"f%d" % number, write_object(work, "blob", b"%d" % number))))
                 for number in range(4)]
    strangers.append(commit_of(work, write_object(work, "tree", tree_entry("100644", b"model.pkl", blob))))
    tree = work.git("rev-parse", "HEAD^{tree}").output.strip()
    parents = [word for one in ["HEAD", *strangers] for word in ("-p", one)]
    head = work.git("commit-tree", *parents, "-m", "octopus", tree).output.strip()
    work.git("update-ref", "refs/heads/main", head)
    assert_refused(work.push(server), strangers[-1][:12], "model.pkl", "os.system")


def test_deleted_and_made_again(server, work):  # noqa: F811
    """What a branch named before it was deleted is no baseline for the next one of its name."""
    work.commit({"README.md": b"one\n"})
    assert work.push(server, "main", "main:other").ok
    work.commit({"model.pkl": POISON})
    without_hook(server, lambda: work.push(server, "main:other"))
    run = work.push(server, ":other")
    assert run.ok, run.output
    assert_refused(work.push(server, "main:other"), "model.pkl", "os.system")


def test_a_wiki(server, work):  # noqa: F811
    """A repository like any other, with a hook of its own only where a global one is installed."""
    line = server.hook.read_text().splitlines()[1].removeprefix("exec ")
    server.set_hook("GITEA_REPO_IS_WIKI=true GITEA_REPO_USER_NAME=team GITEA_REPO_NAME=model.wiki GITEA_PUSHER_NAME=alice GITEA_PUSHER_ID=3 "
                    f"{line}")
    work.commit({"Home.md": b"# home\n", "uploads/model.pkl": POISON})
    assert_refused(work.push(server), "uploads/model.pkl", "os.system")
    log = "".join(file.read_text() for file in (server.data / "audit").glob("*.jsonl"))
    assert '"repo":"team/model.wiki"' in log
