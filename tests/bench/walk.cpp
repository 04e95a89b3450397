// The floor that the hook is measured against: finds the new commits of a push with libgit2 and
// reads every new blob once, nothing more. Reads the ref lines like a pre-receive hook.
#include <git2.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <set>
#include <string>

namespace {

struct Walk {
  git_repository* repository = nullptr;
  git_odb* odb = nullptr;
  std::set<std::string> seen;
  std::size_t blobs = 0;
  std::size_t bytes = 0;
};

void check(int result, const char* what) {
  if (result == 0) return;
  std::fprintf(stderr, "%s: %s\n", what, git_error_last()->message);
  std::exit(1);
}

bool first_time(Walk& walk, const git_oid& oid) {
  return walk.seen.emplace(reinterpret_cast<const char*>(oid.id), sizeof oid.id).second;
}

void read_tree(Walk& walk, const git_oid& oid) {
  if (!first_time(walk, oid)) return;
  git_tree* tree = nullptr;
  check(git_tree_lookup(&tree, walk.repository, &oid), "tree");
  for (std::size_t i = 0; i < git_tree_entrycount(tree); ++i) {
    const git_tree_entry* entry = git_tree_entry_byindex(tree, i);
    const git_oid& child = *git_tree_entry_id(entry);
    if (git_tree_entry_type(entry) == GIT_OBJECT_TREE) {
      read_tree(walk, child);
    } else if (git_tree_entry_type(entry) == GIT_OBJECT_BLOB && first_time(walk, child)) {
      git_odb_object* blob = nullptr;
      check(git_odb_read(&blob, walk.odb, &child), "blob");
      ++walk.blobs;
      walk.bytes += git_odb_object_size(blob);
      git_odb_object_free(blob);
    }
  }
  git_tree_free(tree);
}

} // namespace

int main() {
  git_libgit2_init();
  git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
  Walk walk;
  check(git_repository_open_ext(&walk.repository, nullptr, GIT_REPOSITORY_OPEN_FROM_ENV, nullptr),
        "open");
  check(git_repository_odb(&walk.odb, walk.repository), "odb");
  git_revwalk* commits = nullptr;
  check(git_revwalk_new(&commits, walk.repository), "revwalk");
  std::string before, after, ref;
  while (std::cin >> before >> after >> ref) {
    git_oid oid;
    check(git_oid_fromstr(&oid, after.c_str()), "oid");
    check(git_revwalk_push(commits, &oid), "push");
  }
  git_revwalk_hide_glob(commits, "refs/*");
  git_oid oid;
  while (git_revwalk_next(&oid, commits) == 0) {
    git_commit* commit = nullptr;
    check(git_commit_lookup(&commit, walk.repository, &oid), "commit");
    read_tree(walk, *git_commit_tree_id(commit));
    git_commit_free(commit);
  }
  std::printf("%zu blobs, %zu bytes\n", walk.blobs, walk.bytes);
  return 0;
}
