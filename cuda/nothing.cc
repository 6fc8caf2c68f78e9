// SPDX-License-Identifier: Apache-2.0
// What libraries for GPUs consist of where a build is for the processor alone.
