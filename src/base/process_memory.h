// Memory that a process holds only because of what it has done before.
#pragma once

namespace tessera {

// To be called when starting is over: returns freed heap to the kernel, and drops the resident
// pages of code and constants, most of which only starting needed; what is used again is faulted in
// from the page cache, and from now on little more than that. Any thread. Does nothing where the
// system has no such calls.
void release_startup_memory();

}  // namespace tessera
