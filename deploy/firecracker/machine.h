/* Parts of process 1; each gives up with a reason, and ends the machine, where it cannot do its work. */
#ifndef MACHINE_H
#define MACHINE_H

/* The user of the program; no name, as nothing asks for one. */
#define USER 10001

/* Seconds since the kernel started. */
double uptime(void);

/* A line on the console. */
__attribute__((format(printf, 1, 2))) void say(const char *format, ...);

void mount_system(void);
void mount_data(void);
void start_network(void);
void settle_limits(void);

/* To be called now and then. */
void follow_host_clock(void);

/* What the machine has and what each process holds of it: memory of its own, and pages of files, which the kernel takes back at need. */
void report_memory(void);

/* Firecracker ends when the guest resets the processor; switching off would leave it waiting. */
_Noreturn void end_machine(void);

#endif
