def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import design

    return design(
        "constant_treatment",
        dbt.config.meta_get("study"),
        units=dbt.ref("constant_treatment_units"),
        session=session,
        scores=dbt.ref("constant_treatment_scores"),
    )
