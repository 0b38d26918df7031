// Command assay tests connected devices: it puts a device on a bench, asks it
// questions over the wire, and turns the answers into evidence that anybody can
// re-check and re-judge. Every verb is one file here; none judges by itself.
package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/spf13/cobra"

	"assay/lab/bench"
)

func main() {
	// The bench's children die with the thread that started them (Pdeathsig), so
	// the main goroutine keeps the main thread.
	runtime.LockOSThread()
	os.Exit(Main())
}

// Main runs one verb and returns its exit code.
func Main() int {
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // nohup wants it ignored
		ends = append(ends, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), ends...)
	defer stop()
	if code, yes := bench.Trial(ctx); yes {
		return code // this process only tries what the machine allows
	}
	root := command()
	root.SetArgs(os.Args[1:])
	err := root.ExecuteContext(ctx)
	return complain(os.Stderr, err)
}

// command is the whole tree of verbs.
func command() *cobra.Command {
	root := &cobra.Command{
		Use:   "assay",
		Short: "Test a connected device and seal the evidence",
		Long: "assay puts a connected device on a bench, takes it through a certification profile over the wire,\n" +
			"and seals evidence that anybody can re-check and re-judge offline.\n\n" +
			"Exit codes: 0 conformant, or the verb did what it says; 1 non-conformant; 2 unusable input;\n" +
			"3 incomplete: nothing failed, something mandatory is inconclusive; 4 evidence does not verify; 5 the bench failed.",
		Version:       version(),
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cmd.Help()
		},
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return unusable(err, "`"+cmd.CommandPath()+" --help` lists the flags")
	})
	root.AddCommand(
		amendCommand(),
		captureCommand(),
		demoCommand(),
		diffCommand(),
		doctorCommand(),
		firmwareCommand(),
		initCommand(),
		judgeCommand(),
		keysCommand(),
		planCommand(),
		probesCommand(),
		profilesCommand(),
		redactCommand(),
		refdeviceCommand(),
		reportCommand(),
		resumeCommand(),
		reviewCommand(),
		runCommand(),
		selftestCommand(),
		showCommand(),
		stampCommand(),
		verifyCommand(),
	)
	return root
}

// noArgs refuses arguments, an unknown verb among them.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return unusable(errors.New("unknown word "+quote(args[0])+" after `"+cmd.CommandPath()+"`"), "`"+cmd.CommandPath()+" --help` lists what there is")
}

// oneArg wants exactly one argument, which it calls what.
func oneArg(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			return nil
		}
		return unusable(errors.New("`"+cmd.CommandPath()+"` takes one "+what), "`"+cmd.CommandPath()+" --help` shows how")
	}
}
