#pragma once
// Judging a configuration of Keras: every object in it, at any depth, by what loading it would
// import, call, read or execute. The same for .keras files, HDF5 attributes, metadata of
// SavedModels, presets and plain JSON: safe_mode is no excuse, since older and legacy loaders do
// without it.
#include "scanner/core/session.hpp"
#include "scanner/formats/keras_config/tree.hpp"

namespace hubgate::keras {

/// Whether the tree is of Keras: its root or some object in it is written like Keras writes them.
bool is_keras(const Tree& tree);

/// Reports everything in `tree` to the session.
void judge(const Tree& tree, Session& session);

} // namespace hubgate::keras
