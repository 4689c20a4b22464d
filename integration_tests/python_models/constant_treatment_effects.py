def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import estimate

    return estimate(
        "constant_treatment",
        dbt.config.meta_get("study"),
        units=dbt.ref("constant_treatment_units"),
        scores=dbt.ref("constant_treatment_scores"),
        gates=dbt.ref("constant_treatment_gates"),
        session=session,
    )
