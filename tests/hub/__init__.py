"""A small hub on loopback that looks like the real one to every client the tests drive.

Repositories are bare Git repositories below a root folder, their large files lie in one LFS
store, and the HTTP API is answered from both, so that a pull over the API and a `git clone` give
the same bytes. Large files are redirected to a second server (the "CDN") on another port, with
signed links and Xet metadata, as the real hub does. Faults are switched on by path through
`/_hub/faults`, and every request is kept in `/_hub/log`.
"""
